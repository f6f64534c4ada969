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

// TestMigration: a pair of keepalived that copies connections, and real servers that a script has set up, become ours one machine after the
// other and keepalived's again, with the commands of the docs. Meanwhile a client opens connections, and 20 others stay open.
//
// Proves docs/migration.md: "No connection that is open breaks, and no new one fails"
func TestMigration(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.Keepalived)
	lab.Long(t)
	m := newMigration(t)
	m.held = measure.OpenConnections(m.client, vipPort, 20)
	m.awaitHeld(m.backup)
	moved := watchMoves(t, m.client, m.master, m.backup)
	client := measure.Start(m.client, vipPort, patient)
	client.WaitAnswered("", soon)
	begun := time.Now()
	alive := func(step string) {
		t.Helper()
		client.WaitAnswered("", soon)
		if a := m.held.Alive(); a["mysql1"]+a["mysql2"] != 20 {
			t.Errorf("%s: %d of 20 connections are open: %v", step, a["mysql1"]+a["mysql2"], m.held.Errors())
		}
	}

	m.agents()
	alive("the agents run")
	m.backup.daemon.Stop()
	m.runs(m.backup)
	alive("the BACKUP is ours")
	m.priority(m.backup, 200)
	m.awaitHolder(m.backup, soon)
	alive("the MASTER is ours")
	m.master.daemon.Stop()
	m.runs(m.master)
	alive("both are ours")
	m.priority(m.backup, 100)
	m.awaitHolder(m.master, soon)
	alive("the MASTER is where it was")

	m.backup.daemon.Stop()
	m.keepalived(m.backup)
	m.awaitHeld(m.backup)
	alive("the BACKUP is keepalived's again")
	if out, err := m.master.ctl("failover", "mysql"); err != nil {
		t.Fatalf("lvsctl failover: %v\n%s", err, out)
	}
	m.awaitHolder(m.backup, soon)
	alive("the MASTER is keepalived's again")
	result := client.Stop().Since(begun)
	moved.check(result)
	checkGap(t, result)
	for _, a := range result.Attempts {
		if a.Took >= time.Second { // its first packet was lost
			t.Errorf("an answer took %s: %+v", a.Took, a)
		}
	}
	m.master.daemon.Stop()
	m.keepalived(m.master)
	m.awaitHolder(m.master, soon)
}

// TestMigrationInPlace: on a single director, a keepalived that was told to leave the VIP and the table is replaced by ours,
// and this one by keepalived.
//
// Proves docs/migration.md: "leaves the VIP and the table when it stops, and the director adopts both"
func TestMigrationInPlace(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.Keepalived)
	lab.Long(t)
	m := newMigration(t)
	m.backup.daemon.Stop()
	m.master.daemon.Stop()
	m.master.daemon = lab.StartKeepalived(m.master.Host, m.conf[m.master], "--dont-release-vrrp", "--dont-release-ipvs")
	m.awaitHolder(m.master, soon)
	m.awaitTable(m.master, "10.77.0.11:3306", "10.77.0.12:3306")
	held := measure.OpenConnections(m.client, vipPort, 20)
	client := measure.Start(m.client, vipPort, patient)
	client.WaitAnswered("", soon)
	m.master.daemon.Stop()
	if !m.master.holds() {
		t.Fatal("keepalived has removed the VIP")
	}
	client.WaitAnswered("", soon)
	m.master.start()
	m.master.awaitCheck(0, "")
	out := m.master.Run("ip", "-4", "addr", "show", "dev", "eth0")
	if _, rest, held := strings.Cut(out, vip+"/32"); !held || strings.Contains(strings.SplitAfterN(rest, "preferred_lft", 2)[0], "forever") {
		t.Errorf("the VIP has no lease: %s", out)
	}
	client.WaitAnswered("", soon)
	if r := client.Stop(); r.Failed() > 0 {
		t.Errorf("new connections: %s", r)
	}
	if a := held.Alive(); a["mysql1"]+a["mysql2"] != 20 {
		t.Errorf("%d of 20 connections are open: %v", a["mysql1"]+a["mysql2"], held.Errors())
	}
	m.master.daemon.Stop()
	m.keepalived(m.master)
	m.awaitHolder(m.master, soon)
}

// migration is a pair of keepalived with hand-made real servers, and the cluster file that lvsctl import has made of it.
type migration struct {
	*cluster
	conf map[*node]string
	r    timing
	held *measure.Connections
}

func newMigration(t *testing.T) *migration {
	t.Helper()
	m := &migration{cluster: newCluster(t, shape{}), conf: map[*node]string{}, r: timing{3, 200 * time.Millisecond}}
	m.answering()
	for _, n := range []*node{m.mysql1, m.mysql2} {
		for _, key := range []string{"all", "lo"} { // as the script realserver of the guides does
			n.Sysctl("net.ipv4.conf."+key+".arp_ignore", "1")
			n.Sysctl("net.ipv4.conf."+key+".arp_announce", "2")
		}
		n.Run("ip", "addr", "add", vip+"/32", "dev", "lo", "label", "lo:0")
	}
	imported := filepath.Join(filepath.Dir(m.file), "imported.yaml")
	args := []string{program(t, "lvsctl"), "import", "-o", imported, "--address", "lvs-master=10.77.0.2", "--address", "lvs-backup=10.77.0.3"}
	for _, n := range []*node{m.master, m.backup} {
		n.Sysctl("net.ipv4.vs.sync_threshold", "0 0") // keepalived leaves the kernel's, with which connections of two packets are not copied
		n.Sysctl("net.ipv4.vs.sync_refresh_period", "10")
		m.conf[n] = strings.Replace(keepalivedConf(n.Name, m.r), "global_defs {\n", "global_defs {\n  lvs_sync_daemon eth0 mysql id 51\n", 1)
		args = append(args, "--node", n.Name+"="+n.writeFile("keepalived.conf", m.conf[n]))
	}
	if out, err := m.client.Try(args...); err != nil {
		t.Fatalf("lvsctl import: %v\n%s", err, out)
	}
	m.file = imported
	m.edit("rs-10.77.0.11", "mysql1", "rs-10.77.0.12", "mysql2")
	for _, n := range []*node{m.master, m.backup, m.mysql1, m.mysql2} {
		n.file = imported
	}
	m.keepalived(m.master)
	m.awaitHolder(m.master, soon)
	m.keepalived(m.backup)
	m.awaitTable(m.master, "10.77.0.11:3306", "10.77.0.12:3306")
	return m
}

// edit replaces words of the cluster file.
func (m *migration) edit(oldnew ...string) {
	m.t.Helper()
	text, err := os.ReadFile(m.file)
	if err == nil {
		err = os.WriteFile(m.file, []byte(strings.NewReplacer(oldnew...).Replace(string(text))), 0o600)
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *migration) keepalived(n *node) {
	m.t.Helper()
	n.daemon = lab.StartKeepalived(n.Host, m.conf[n])
	m.awaitTable(n, "10.77.0.11:3306", "10.77.0.12:3306")
}

// runs starts the director where keepalived was stopped, and waits until it could take over with all connections.
func (m *migration) runs(n *node) {
	m.t.Helper()
	n.start()
	m.awaitTable(n, "10.77.0.11:3306", "10.77.0.12:3306")
	m.awaitHeld(n)
}

// awaitHeld waits until the kernel of a director knows the held connections; those of the other client come and go.
func (m *migration) awaitHeld(n *node) {
	m.t.Helper()
	lab.Eventually(m.t, soon, func() error {
		known := strings.Join(entries(n), "\n")
		for _, client := range m.held.Clients() {
			if !strings.Contains(known, client+" ") {
				return fmt.Errorf("%s does not know the connection of %s:\n%s", n.Name, client, known)
			}
		}
		return nil
	})
}

// agents starts the agents beside what the script has left, and checks that they take it over.
func (m *migration) agents() {
	m.t.Helper()
	for _, n := range []*node{m.mysql1, m.mysql2} {
		n.start()
		n.awaitCheck(0, "")
		if out := n.Run("ip", "-4", "addr", "show", "dev", "lo"); strings.Count(out, vip+"/32") != 1 {
			m.t.Errorf("%s: %s", n.Name, out)
		}
	}
}

// priority gives a director of ours another priority by a reload of all that run.
func (m *migration) priority(n *node, to int) {
	m.t.Helper()
	for _, was := range []int{100, 200} {
		m.edit(fmt.Sprintf("%s: {priority: %d}", n.Name, was), fmt.Sprintf("%s: {priority: %d}", n.Name, to))
	}
	if out, err := n.ctl("reload"); err != nil {
		m.t.Fatalf("lvsctl reload: %v\n%s", err, out)
	}
}
