package e2e

import (
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// TestSloppyTCP: without synchronization, mh and sloppy_tcp let connections survive, also those that have just been opened.
//
// Proves docs/failover.md: "the sysctl
// `net.ipv4.vs.sloppy_tcp=1` makes the new MASTER take up connections that it does not know."
func TestSloppyTCP(t *testing.T) {
	lab.Need(t, lab.IPVS)
	c := newCluster(t, shape{advert: "300ms", scheduler: "mh"})
	c.answering()
	c.startAll()
	c.backup.Sysctl("net.ipv4.vs.sloppy_tcp", "1")
	conns := measure.OpenConnections(c.client, vipPort, 20)
	c.master.daemon.Kill()
	c.awaitHolder(c.backup, soon)
	if alive := conns.Alive(); alive["mysql1"]+alive["mysql2"] != 20 {
		t.Errorf("%v: %v", alive, conns.Errors())
	}
}
