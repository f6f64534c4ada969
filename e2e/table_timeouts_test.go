package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// TestIdleConnections: IPVS forgets a connection that is idle for longer than `timeouts`, and the client gets a reset; a
// reload that raises it keeps them. What another process sets is corrected, and the kernel has its own values after a
// stop.
//
// Proves docs/operations.md: "The director sets the timeouts of the cluster file, corrects them within a second if another
// program changes them (`ipvsadm --set`), and restores the former values when it stops."
func TestIdleConnections(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c := newCluster(t, shape{advert: "100ms"})
	c.net.File("cluster.yaml", strings.Replace(c.text(), "virtual_servers:", "timeouts: {tcp: 3s}\nvirtual_servers:", 1))
	c.answering()
	if before := c.master.timeouts(); before != "900 120 300" {
		t.Errorf("the kernel's own timeouts are %s", before)
	}
	c.startMaster()
	const idle = 6 * time.Second // less than the interval of the client's TCP keepalive, 15 s
	conns := measure.OpenConnections(c.client, vipPort, 4)
	time.Sleep(idle)
	if alive := conns.Alive(); len(alive) != 0 || !strings.Contains(fmt.Sprint(conns.Errors()), "connection reset") {
		t.Errorf("after %s with a timeout of 3 s, alive: %v, errors: %v; want resets", idle, alive, conns.Errors())
	}
	c.reload("timeouts: {tcp: 3s}", "timeouts: {tcp: 8h, udp: 60s}")
	conns = measure.OpenConnections(c.client, vipPort, 4)
	c.master.Run("ipvsadm", "--set", "1", "1", "1")
	lab.Eventually(t, soon, func() error {
		if now := c.master.timeouts(); now != "28800 1 60" {
			return fmt.Errorf("timeouts %s, want those of the file for tcp and udp", now)
		}
		return nil
	})
	time.Sleep(idle)
	if alive := conns.Alive(); alive["mysql1"]+alive["mysql2"] != 4 {
		t.Errorf("after %s with a timeout of 8 h, alive: %v: %v", idle, alive, conns.Errors())
	}
	c.master.daemon.Stop()
	if after := c.master.timeouts(); after != "900 1 300" {
		t.Errorf("after the stop the timeouts are %s, want the kernel's own, and the one that another process has set", after)
	}
}

// timeouts returns the timeouts of tcp, tcp_fin and udp.
func (n *node) timeouts() string {
	n.t.Helper()
	_, values, _ := strings.Cut(n.Run("ipvsadm", "-L", "--timeout"), ": ")
	return strings.TrimSpace(values)
}
