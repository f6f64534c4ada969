package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// older runs the programs of another version on a node.
func (n *node) older(dir string) { n.binary = filepath.Join(dir, filepath.Base(n.binary)) }

// newer runs ours again.
func (n *node) newer() { n.binary = program(n.t, filepath.Base(n.binary)) }

// TestUpgrade: a cluster of an older version is upgraded, and goes back, one machine after the other. The two versions hear each
// other, a killed daemon of the older one is replaced by one of ours that adopts the table and the VIP, and lvsctl of each
// understands the other's daemon. LVS_REFERENCE is the directory of the older programs; `make upgrade` runs it.
//
// Proves docs/operations.md: "A new daemon reads the state file of an old one, so an upgrade after a crash also adopts what the
// old one left."
// Proves docs/operations.md: "`make upgrade REFERENCE=DIR` tries it with the programs of another version"
func TestUpgrade(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Bench(t)
	c := newCluster(t, shape{advert: "100ms"})
	dir := reference(t)
	all := []*node{c.mysql1, c.mysql2, c.backup, c.master}
	for _, n := range all {
		n.older(dir)
	}
	c.answering()
	for _, n := range all {
		n.start()
	}
	c.awaitTable(c.master, rs1, rs2)
	c.awaitTable(c.backup, rs1, rs2)
	c.awaitHolder(c.master, soon)
	c.understood(t, dir)
	for _, n := range all {
		c.replace(t, n, n.newer)
	}
	for _, n := range all {
		n.checks(0, "OK")
	}
	for _, n := range all {
		c.replace(t, n, func() { n.older(dir) })
	}
	c.crashed(t)
}

// TestUpgradeInMaintenance: the commands of docs/maintenance.md take each machine of a cluster of an older version out, to upgrade it, and
// back, while a client opens a connection every 50 ms. No connection fails, and those held over the work on the directors do not break.
//
// Proves docs/maintenance.md: "`make upgrade REFERENCE=DIR` does the same with an upgrade of each machine from the programs in DIR."
func TestUpgradeInMaintenance(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Bench(t)
	c := newCluster(t, shape{advert: "300ms", more: "connection_sync: {}"})
	dir := reference(t)
	all := []*node{c.mysql1, c.mysql2, c.backup, c.master}
	for _, n := range all {
		n.older(dir)
	}
	c.maintain(t, (*node).newer)
	for _, n := range all {
		if strings.HasPrefix(n.binary, dir) {
			t.Errorf("%s was not upgraded", n.Name)
		}
		n.checks(0, "OK")
	}
}

// reference returns the directory of the older programs.
func reference(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("LVS_REFERENCE")
	if dir == "" {
		t.Fatal("LVS_REFERENCE is not set: make upgrade REFERENCE=DIR, a directory with the programs of an older version")
	}
	return dir
}

// understood: lvsctl of each version shows the status of the other's daemons.
func (c *cluster) understood(t *testing.T, dir string) {
	t.Helper()
	if out, err := c.master.ctl("status"); err != nil || !strings.Contains(out, "MASTER") {
		t.Errorf("lvsctl of this version, with a director of the older one: %v %s", err, out)
	}
	if s := c.backup.status(); len(s.Instances) != 1 || s.Instances[0].State != "BACKUP" || len(s.VirtualServers) != 1 {
		t.Errorf("the status of an older director: %+v", s)
	}
	c.backup.daemon.Stop()
	c.backup.newer()
	c.backup.start()
	c.awaitTable(c.backup, rs1, rs2)
	if out, err := c.backup.Try(filepath.Join(dir, "lvsctl"), "--socket", c.backup.socket, "status"); err != nil || !strings.Contains(out, "BACKUP") {
		t.Errorf("lvsctl of the older version, with a director of this one: %v %s", err, out)
	}
	c.backup.daemon.Stop()
	c.backup.older(dir)
	c.backup.start()
	c.awaitTable(c.backup, rs1, rs2)
}

// replace stops the daemon of a node and starts that of another version. A BACKUP and an agent are not missed, and clients
// of a MASTER wait until the other director has its VIP, which takes a part of the master-down interval.
func (c *cluster) replace(t *testing.T, n *node, by func()) {
	t.Helper()
	m := measure.Start(c.client, vipPort, measure.Options{})
	m.WaitAnswered("mysql1", soon)
	m.WaitAnswered("mysql2", soon)
	n.daemon.Stop()
	if n == c.master {
		c.awaitHolder(c.backup, soon)
	}
	by()
	n.start()
	switch n {
	case c.master, c.backup:
		c.awaitTable(n, rs1, rs2)
		c.awaitHolder(c.master, soon)
	default:
		c.awaitAgent(n)
	}
	m.WaitAnswered("mysql1", soon)
	m.WaitAnswered("mysql2", soon)
	r := m.Stop()
	t.Logf("%s -> %s: %s", n.Name, filepath.Dir(n.binary), r)
	switch {
	case n == c.backup && r.Failed() > 0:
		t.Errorf("connections failed while the BACKUP was replaced: %s", r)
	case n == c.master && r.LongestGap().Duration > time.Second:
		t.Errorf("clients waited while the MASTER was replaced: %s", r)
	}
}

// crashed: the older daemons are killed, and ours adopts what they left: the VIP, the table and the sysctls to restore.
func (c *cluster) crashed(t *testing.T) {
	t.Helper()
	before := c.master.Run("ipvsadm", "-Sn")
	saved := c.master.Run("sh", "-c", "cat "+c.master.Path("state")+"/*.json")
	m := measure.Start(c.client, vipPort, measure.Options{})
	m.WaitAnswered("mysql1", soon)
	c.backup.daemon.Stop()
	c.master.daemon.Kill()
	c.master.newer()
	started := time.Now()
	c.master.start()
	lab.Eventually(t, soon, func() error { return c.master.stateIs("MASTER") })
	m.WaitAnswered("mysql1", soon)
	m.WaitAnswered("mysql2", soon)
	if r := m.Stop(); r.LongestGap().Duration > 2*time.Second {
		t.Errorf("after a crash of the older MASTER, %s before: %s", time.Since(started), r)
	}
	if after := c.master.Run("ipvsadm", "-Sn"); after != before {
		t.Errorf("the table was changed\nbefore: %s\nafter: %s", before, after)
	}
	if out := c.master.daemon.Log(); strings.Contains(out, "state file") || strings.Contains(out, "ipvsadm -") {
		t.Errorf("the state file of the older version was not used: %s\n%s", saved, out)
	}
	c.master.checks(0, "OK")
	c.master.daemon.Stop()
	if left := fmt.Sprint(c.master.Run("ipvsadm", "-Ln"), c.master.Run("ip", "-br", "addr")); strings.Contains(left, "10.77.0.100") {
		t.Errorf("after a graceful stop of ours: %s", left)
	}
}
