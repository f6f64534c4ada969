package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/pkg/problem"
)

// startSyncingKeepalived starts keepalived with its lvs_sync_daemon, for the same id as the cluster file's instance.
func startSyncingKeepalived(n *node, r timing) {
	conf := strings.Replace(keepalivedConf(n.Name, r), "global_defs {\n", "global_defs {\n  lvs_sync_daemon eth0 mysql id 51\n", 1)
	n.daemon = lab.StartKeepalived(n.Host, conf)
}

// TestSyncInterop: a director and a keepalived with lvs_sync_daemon copy their connections to each other. The director sends
// also those that were quiet since before the keepalived was started, within a minute, for no keepalived asks for them.
//
// Proves docs/failover.md: "If no other
// lvs-director is heard, for example because it is a keepalived, every connection older than 5 s is sent again once a minute."
func TestSyncInterop(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.Keepalived)
	lab.Long(t)
	r := timing{3, relaxedAdvert}
	begin := func(t *testing.T) *cluster {
		c := newCluster(t, shape{advert: r.advert.String(), more: "connection_sync: {instance: mysql}"})
		c.answering()
		c.mysql1.start()
		c.mysql2.start()
		return c
	}
	survive := func(t *testing.T, c *cluster, conns *measure.Connections) {
		t.Helper()
		c.master.Link("eth0").Unplug()
		c.awaitHolderOf(c.backup)
		if alive := conns.Alive(); alive["mysql1"]+alive["mysql2"] != 20 {
			t.Errorf("%v survive: %v", alive, conns.Errors())
		}
	}
	t.Run("keepalived is the backup", func(t *testing.T) {
		c := begin(t)
		c.master.start()
		c.awaitHolder(c.master, soon)
		c.awaitTable(c.master, "10.77.0.11:3306", "10.77.0.12:3306")
		conns := measure.OpenConnections(c.client, vipPort, 20)
		c.master.awaitCounted(20)
		startSyncingKeepalived(c.backup, r)
		c.awaitTable(c.backup, "10.77.0.11:3306", "10.77.0.12:3306")
		lab.Eventually(t, 3*soon, func() error {
			if got := entries(c.backup); len(got) != 20 {
				return fmt.Errorf("keepalived's kernel has %d connections", len(got))
			}
			return nil
		})
		survive(t, c, conns)
	})
	t.Run("keepalived is the master", func(t *testing.T) {
		c := begin(t)
		c.master.Sysctl("net.ipv4.vs.sync_threshold", "0 0") // keepalived leaves the kernel's values
		c.master.Sysctl("net.ipv4.vs.sync_refresh_period", "10")
		startSyncingKeepalived(c.master, r)
		c.awaitHolder(c.master, soon)
		c.awaitTable(c.master, "10.77.0.11:3306", "10.77.0.12:3306")
		c.backup.start()
		c.awaitTable(c.backup, "10.77.0.11:3306", "10.77.0.12:3306")
		conns := measure.OpenConnections(c.client, vipPort, 20)
		c.awaitEntries(c.backup, 20)
		lab.Eventually(t, soon, func() error {
			if peers := c.backup.status().ConnectionSync.Peers; len(peers) != 1 || peers[0].Director || peers[0].Received < 20 {
				return fmt.Errorf("heard: %+v", peers)
			}
			return nil
		})
		for _, p := range c.backup.status().ProblemDetails {
			if p.Code == problem.SyncSilent || p.Code == problem.SyncLacking || p.Code == problem.SyncNotRunning {
				t.Errorf("%s: %s", p.Code, p.Text)
			}
		}
		survive(t, c, conns)
	})
}

// awaitHolderOf waits until the node holds the VIP; a router that was cut off may hold it, too.
func (c *cluster) awaitHolderOf(n *node) {
	c.t.Helper()
	lab.Eventually(c.t, soon, func() error {
		if !n.holds() {
			return fmt.Errorf("%s does not hold the VIP", n.Name)
		}
		return nil
	})
}
