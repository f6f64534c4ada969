package e2e

import (
	"errors"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// TestReturnsWithServers: a director's cable was unplugged so long that its own checks took every real server out of
// its table. After the cable is plugged in again the director does not take the VIP from its peer before it has a real
// server again.
//
// Proves docs/limits.md: "A director that loses its carrier is in FAULT instead, and takes the VIP back only when it
// has a real server again or when no director holds the VIP."
func TestReturnsWithServers(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c := newCluster(t, shape{advert: "100ms", check: "{type: tcp, interval: 1s, timeout: 500ms, fall: 2, rise: 2}"})
	c.answering()
	c.startAll()
	c.master.Link("eth0").CarrierDown()
	c.awaitHolder(c.backup, soon)
	lab.Eventually(t, soon, func() error {
		if len(c.master.table().Service(vipPort).Servers) > 0 {
			return errors.New("the unplugged director still has real servers in its table")
		}
		return nil
	})
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
