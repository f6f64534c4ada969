package e2e

import (
	"syscall"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// maxHandoverGap is the longest time for which a planned handover may leave a client without an answer.
const maxHandoverGap = 40 * time.Millisecond

// TestStopHandsOver: while a MASTER is stopped gracefully, clients are answered all the time, because the other director has
// taken the VIP before this one lets it go; open connections survive. The director that returns preempts in the same way.
//
// Proves docs/failover.md: "A graceful stop of a MASTER hands over first, if another director gives a sign of life."
func TestStopHandsOver(t *testing.T) {
	lab.Need(t, lab.IPVS)
	c := newCluster(t, shape{advert: "300ms", more: "connection_sync: {}"})
	c.answering()
	c.startAll()
	held := measure.OpenConnections(c.client, vipPort, 20)
	c.awaitEntries(c.backup, 20)
	adverts := capture.Start(c.client, "eth0", lab.VRRP)
	client := measure.Start(c.client, vipPort, measure.Options{Every: 5 * time.Millisecond})
	client.WaitAnswered("", soon)
	watches := []*vipWatch{c.master.watchVIP(), c.backup.watchVIP()}
	begun := time.Now()
	if code := c.master.daemon.Stop(); code != 0 {
		t.Errorf("the director exited with %d", code)
	}
	t.Logf("the stop took %s", time.Since(begun))
	c.awaitHolder(c.backup, soon)
	client.WaitAnswered("", soon)
	result := client.Stop().Since(begun)
	t.Log(result)
	if gap := result.LongestGap(); gap.Duration > maxHandoverGap || result.Failed() > 0 {
		t.Errorf("longest gap %s and %d failures, want at most %s and none: %v", gap, result.Failed(), maxHandoverGap, result.Failures())
	}
	if alive := held.Alive(); alive["mysql1"]+alive["mysql2"] != 20 {
		t.Errorf("%d of 20 open connections survived: %v", alive["mysql1"]+alive["mysql2"], held.Errors())
	}
	if both := overlap(watches[0], watches[1]); both > time.Second {
		t.Errorf("both held the VIP for %s: %v and %v", both, watches[0].periods(), watches[1].periods())
	}
	if sent := capture.Matching(adverts.Stop(), `10\.77\.0\.2 > 224\.0\.0\.18.* prio 0,`); len(sent) > 0 {
		t.Errorf("the MASTER resigned: %v", sent)
	}
}

// TestSecondSignal: a second SIGTERM, and a stop without another director, resign at once.
//
// Proves docs/failover.md: "A second SIGTERM resigns at once, as does a stop while the machine shuts down."
func TestSecondSignal(t *testing.T) {
	lab.Need(t, lab.IPVS)
	c := newCluster(t, shape{advert: "1s"})
	c.answering()
	c.startAll()
	adverts := capture.Start(c.client, "eth0", lab.VRRP)
	mark := c.master.daemon.Mark()
	c.master.daemon.Signal(syscall.SIGTERM)
	mark.WaitLog("handing over before the stop", soon)
	second := time.Now()
	c.master.daemon.Signal(syscall.SIGTERM)
	adverts.Wait(`10\.77\.0\.2 > 224\.0\.0\.18.* prio 0,`, soon)
	c.master.daemon.Wait(soon)
	if took := time.Since(second); took > 500*time.Millisecond {
		t.Errorf("the stop took %s after the second signal", took)
	}
	c.awaitHolder(c.backup, soon)

	c.master.Link("eth0").Unplug() // lvs-backup is alone
	alone := time.Now()
	c.backup.daemon.Stop()
	if took := time.Since(alone); took > 1500*time.Millisecond {
		t.Errorf("the stop of the only director took %s", took)
	}
}
