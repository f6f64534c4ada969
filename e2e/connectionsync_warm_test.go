package e2e

import (
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// TestWarmPreemption: a director of higher priority boots while the other one has connections that are quiet. It preempts
// only when its kernel has all of them, and none breaks. A MASTER that dies meanwhile is replaced at once.
//
// Proves docs/failover.md: "So it does not preempt before it is warm"
// Proves docs/failover.md: "VIPs that nobody holds are taken at once."
func TestWarmPreemption(t *testing.T) {
	lab.Need(t, lab.IPVS)
	c := newCluster(t, shape{advert: "300ms", more: "connection_sync: {}"})
	c.answering()
	c.mysql1.start()
	c.mysql2.start()
	c.backup.start()
	c.awaitHolder(c.backup, soon)
	c.awaitTable(c.backup, "10.77.0.11:3306", "10.77.0.12:3306")
	conns := measure.OpenConnections(c.client, vipPort, 20)
	c.backup.awaitCounted(20)
	c.master.start()
	c.master.daemon.WaitLog("to=MASTER", soon)
	if got := entries(c.master); len(got) != 20 {
		t.Errorf("it preempts with %d connections of 20", len(got))
	}
	if alive := conns.Alive(); alive["mysql1"]+alive["mysql2"] != 20 {
		t.Errorf("%v", conns.Errors())
	}
	c.master.daemon.Kill()
	c.backup.daemon.WaitLog("from=BACKUP to=MASTER", soon)
	c.awaitHolder(c.backup, soon)
	c.master.start()
	c.master.daemon.WaitLog("received the first advert", soon)
	before := time.Now()
	c.backup.daemon.Kill()
	c.master.daemon.WaitLog("to=MASTER", soon)
	if took := time.Since(before); took > 4*time.Second {
		t.Errorf("a VIP that nobody holds was taken after %s", took)
	}
}
