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
