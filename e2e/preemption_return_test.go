package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// TestReturnsWithServers: a director whose cable is unplugged keeps its real servers, and refuses nobody when it takes the
// VIP back.
//
// Proves docs/limits.md: "A director that loses its carrier is in FAULT instead, and keeps its real servers, about which
// its checks then say nothing."
func TestReturnsWithServers(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c := newCluster(t, shape{advert: "100ms", check: "{type: tcp, interval: 1s, timeout: 500ms, fall: 2, rise: 2}"})
	c.answering()
	c.startAll()
	c.master.Link("eth0").CarrierDown()
	c.awaitHolder(c.backup, soon)
	unplugged := c.master.daemon.Mark()
	lab.Consistently(t, 8*time.Second, func() error { // fall checks, and until the neighbour entries fail
		if n := len(c.master.table().Service(vipPort).Servers); n != 2 {
			return fmt.Errorf("the unplugged director has %d of 2 real servers", n)
		}
		return nil
	})
	if n := strings.Count(unplugged.Log(), "check is inconclusive"); n != 2 {
		t.Errorf("%d warnings about 2 checks, whose causes alternate:\n%s", n, unplugged.Log())
	}
	client := measure.Start(c.client, vipPort, measure.Options{})
	client.WaitAnswered("", soon)
	watch, cabled := c.master.watchVIP(), time.Now()
	c.master.Link("eth0").CarrierUp()
	watch.awaitPeriodSince(cabled)
	client.WaitAnswered("", soon)
	result := client.Stop()
	c.awaitHolder(c.master, soon)
	t.Log(result)
	if n := result.Failures()["refused"]; n > 0 {
		t.Errorf("%d connections were refused: the director took the VIP with an empty table", n)
	}
	if gap := result.LongestGap(); gap.Duration > maxReturnGap {
		t.Errorf("longest gap %s while the VIP moved back, want at most %s", gap, maxReturnGap)
	}
}

// TestEmptyMasterGivesWay: a MASTER whose frames were lost for a while, although its carrier was there, finds no real server
// any more. When it hears the director that has taken over, it leaves the VIP to it, although its own priority is higher,
// until it has a real server again. It keeps the VIP for as long as it hears nobody.
//
// Proves docs/limits.md: "When connectivity returns, it leaves the VIP to the director that has taken over,
// whatever the priorities, until it has a real server again."
func TestEmptyMasterGivesWay(t *testing.T) {
	lab.Need(t, lab.IPVS)
	advert := timing{3, 100 * time.Millisecond}
	c := newCluster(t, shape{advert: advert.advert.String(), check: "{type: tcp, interval: 1s, timeout: 500ms, fall: 2, rise: 2}"})
	c.answering()
	c.startAll()
	framesDropped.begin(c.master)
	lab.Eventually(t, soon, func() error {
		if holders := lab.Holders(vip, c.master.Host, c.backup.Host); len(holders) != 2 {
			return fmt.Errorf("the VIP is on %v, want it on both directors, which do not hear each other", holders)
		}
		return tableHas(c.master)
	})
	client := measure.Start(c.client, vipPort, measure.Options{})
	client.WaitAnswered("", soon)
	watch, mark, plugged := c.master.watchVIP(), c.master.daemon.Mark(), time.Now()
	framesDropped.end(c.master)
	t.Log(mark.WaitLog(`from=MASTER to=BACKUP reason="BACKUP: 10.77.0.3 is MASTER as well, with priority 100, and no real server of this director takes connections"`, soon).Text)
	mark.WaitLog("msg=verdict server=mysql/mysql[12] up=true", soon)
	watch.awaitPeriodSince(plugged) // it preempts
	c.awaitHolder(c.master, soon)
	client.WaitAnswered("", soon)
	result := client.Stop().Since(plugged)
	t.Log(result)
	if n := result.Failures()["refused"]; n > 0 {
		t.Errorf("%d connections were refused by a director without a real server", n)
	}
	// If lvs-backup has heard lvs-master first, it has given way, and takes the VIP again after its skew.
	if gap, most := result.LongestGap(), advert.skew()+takeoverAllowance; gap.Duration > most {
		t.Errorf("longest gap %s when the MASTER returned, want at most %s", gap, most)
	}
}
