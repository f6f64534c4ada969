package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

// TestMaintenance: the commands of docs/maintenance.md, as they are written there, take both real servers and both
// directors out of service and back, while a client opens a connection every 50 ms and others are held open. No connection
// fails, and none breaks.
//
// Proves docs/maintenance.md: "In the lab, the commands of this page take two real servers and two directors out and back,
// one after the other, while a client opens a connection every 50 ms: no connection fails, and with `connection_sync` none
// that is open breaks."
// Proves docs/maintenance.md: "from then on takes over from no MASTER, whatever its priority, also after a restart or a
// reboot"
func TestMaintenance(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c := newCluster(t, shape{advert: "300ms", more: "connection_sync: {}"})
	c.maintain(t, func(*node) {})
}

// maintain carries out docs/maintenance.md. The work is done on each machine while its daemons are stopped.
func (c *cluster) maintain(t *testing.T, work func(*node)) {
	t.Helper()
	page := readPage(t, "../docs/maintenance.md")
	one, two := c.answering()
	c.startAll()
	c.backup.awaitReady()
	client := measure.Start(c.client, vipPort, measure.Options{Every: 50 * time.Millisecond})
	client.WaitAnswered("", soon)

	drain, enable := page.blocks("A real server")[0], page.blocks("A real server")[1]
	for _, s := range []struct {
		n       *node
		name    string
		process *lab.Daemon
		entry   string
	}{{c.mysql1, "mysql1", one, rs1}, {c.mysql2, "mysql2", two, rs2}} {
		for _, n := range []*node{c.master, c.backup} {
			n.carryOut(strings.ReplaceAll(drain, "mysql/mysql1", "mysql/"+s.name))
			n.awaitEntry(s.entry, -1)
		}
		s.process.Stop()
		s.n.daemon.Stop()
		work(s.n)
		s.n.start()
		standin.Start(s.n.Host, ":3306", s.name)
		c.awaitAgent(s.n)
		for _, n := range []*node{c.master, c.backup} {
			n.carryOut(strings.ReplaceAll(enable, "mysql/mysql1", "mysql/"+s.name))
			n.awaitEntry(s.entry, 1)
			n.awaitOK()
		}
	}

	held := measure.OpenConnections(c.client, vipPort, 10)
	stop, start := page.blocks("A director")[0], page.blocks("A director")[1]
	for _, n := range []*node{c.backup, c.master} {
		other := map[*node]*node{c.backup: c.master, c.master: c.backup}[n]
		if n == c.master { // otherwise there is nobody to learn from
			c.backup.awaitWarm()
		}
		n.carryOut(stop)
		c.awaitHolder(other, soon)
		work(n)
		n.start()
		n.awaitReady()
		lab.Consistently(t, 3*time.Second, func() error { // it is drained, and ready but for that
			if n.holds() {
				return fmt.Errorf("%s, which is drained, has taken the VIP", n.Name)
			}
			return nil
		})
		n.daemon.Stop()
		n.carryOut(start)
		n.awaitReady()
		c.awaitHolder(c.master, soon)
		aliveAll(t, "after the work on "+n.Name, 10, held)
		n.awaitOK()
	}
	if r := client.Stop(); r.Failed() > 0 {
		t.Errorf("%d failures: %v", r.Failed(), r.Failures())
	}
}

// document is a page of the documentation.
type document string

func readPage(t *testing.T, path string) document {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return document(text)
}

// blocks returns the shell commands under a heading, by block.
func (d document) blocks(heading string) (all []string) {
	_, text, _ := strings.Cut(string(d), "\n## "+heading+"\n")
	text, _, _ = strings.Cut(text, "\n## ")
	for {
		_, rest, found := strings.Cut(text, "```sh\n")
		if !found {
			return all
		}
		block, after, _ := strings.Cut(rest, "```")
		all, text = append(all, block), after
	}
}

// carryOut runs commands on a node as its administrator does: systemctl stops and starts the node's daemon.
func (n *node) carryOut(block string) {
	n.t.Helper()
	for line := range strings.Lines(block) {
		line = strings.TrimSpace(line)
		switch line {
		case "systemctl stop lvs-director":
			if code := n.daemon.Stop(); code != 0 {
				n.t.Errorf("%s exited with %d", n.Name, code)
			}
		case "systemctl start lvs-director":
			n.start()
			lab.Eventually(n.t, soon, func() error { _, err := n.ctl("status"); return err })
		default:
			line = strings.Replace(line, "lvsctl ", program(n.t, "lvsctl")+" --socket "+n.socket+" ", 1)
			if out, err := n.Try("sh", "-c", line); err != nil {
				n.t.Fatalf("%s: %s: %v\n%s", n.Name, line, err, out)
			}
		}
	}
}

// awaitOK waits until `lvsctl status --check` is OK, as the page says.
func (n *node) awaitOK() {
	n.t.Helper()
	lab.Eventually(n.t, soon, func() error { out, err := n.ctl("status", "--check"); return wrapped(err, out) })
}

func wrapped(err error, out string) error {
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}
