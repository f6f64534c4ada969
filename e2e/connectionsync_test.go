package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// entries returns the connections of the VIP that the kernel of a host knows, by ipvsadm(8).
func entries(n *node) (all []string) {
	for line := range strings.Lines(n.Run("ipvsadm", "-lcn")) {
		if strings.Contains(line, vipPort) && strings.Contains(line, "ESTABLISHED") {
			all = append(all, strings.Join(strings.Fields(line)[2:], " "))
		}
	}
	return all
}

// TestConnectionSync: connections that were opened before the MASTER is killed are answered by the same server after it. The
// daemons of a director that was killed are its own after a restart, and end with it.
//
// Proves docs/failover.md: "A director that was killed leaves them running, and the next start knows from the state file that
// they are its own."
func TestConnectionSync(t *testing.T) {
	lab.Need(t, lab.IPVS)
	c := newCluster(t, shape{advert: "300ms", more: "connection_sync: {}"})
	c.answering()
	c.startAll()
	conns := measure.OpenConnections(c.client, vipPort, 20)
	c.awaitEntries(c.backup, 20)
	c.master.daemon.Kill()
	c.backup.daemon.WaitLog("to=MASTER", soon)
	if alive := conns.Alive(); alive["mysql1"]+alive["mysql2"] != 20 {
		t.Errorf("%v", conns.Errors())
	}
	if got := c.master.Run("ipvsadm", "-l", "--daemon"); !strings.Contains(got, "master") {
		t.Errorf("of the director that was killed: %s", got)
	}
	c.master.start()
	c.master.daemon.WaitLog("to=BACKUP", soon)
	c.master.daemon.Stop()
	if got := c.master.Run("ipvsadm", "-l", "--daemon"); strings.Contains(got, "sync daemon") {
		t.Errorf("after its end: %s", got)
	}
}

// awaitEntries waits until the kernel of a node knows this many established connections of the VIP.
func (c *cluster) awaitEntries(n *node, count int) {
	c.t.Helper()
	lab.Eventually(c.t, soon, func() error {
		if got := entries(n); len(got) != count {
			return fmt.Errorf("%s knows %d connections, want %d", n.Name, len(got), count)
		}
		return nil
	})
}
