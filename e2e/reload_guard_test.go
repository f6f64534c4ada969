package e2e

import (
	"strings"
	"syscall"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// commands returns the table of a node in the words of ipvsadm(8), with thresholds.
func (n *node) commands() string {
	return n.Run("sh", "-c", "ipvsadm -Sn && ipvsadm -Ln --thresholds")
}

// TestReloadGuard: a reload that removes most real servers is refused and changes nothing; lvsctl diff says what it would
// change, and --force and SIGHUP do exactly that. lvsctl table prints the table in such a way that ipvsadm -R makes the same
// one.
//
// Proves docs/operations.md: "A file without more than half of all real servers, and at least three of them, may be a
// mistake"
// Proves docs/operations.md: "`lvsctl diff` prints the ipvsadm commands that the reload amounts to"
// Proves docs/operations.md: "`ipvsadm -R` makes the same table from it"
func TestReloadGuard(t *testing.T) {
	lab.Need(t, lab.IPVS)
	c := newCluster(t, shape{advert: "100ms", scheduler: "mh", server: "scheduler_flags: [fallback, port]\n    persistence: {timeout: 50s, netmask: 24}"})
	c.edit("checks:\n      - {type: tcp, interval: 400ms, timeout: 350ms, fall: 3, rise: 1}", "checks: []",
		"10.77.0.12, weight: 1}\n", `10.77.0.12, weight: 2, upper_threshold: 400, lower_threshold: 300}
      - {name: mysql3, address: 10.77.0.13}
      - {name: mysql4, address: 10.77.0.14}
`)
	whole, all := c.text(), []string{"10.77.0.11:3306", "10.77.0.12:3306", "10.77.0.13:3306", "10.77.0.14:3306"}
	c.master.start()
	c.awaitHolder(c.master, soon)
	c.awaitTable(c.master, all...)
	c.master.Run("ipvsadm", "-A", "-u", "10.77.0.100:53", "-s", "wlc", "-o")
	c.master.Run("ipvsadm", "-a", "-u", "10.77.0.100:53", "-r", "10.77.0.11", "-i", "-w", "7")
	c.master.Run("ipvsadm", "-A", "-f", "5", "-s", "rr")

	before := c.master.commands()
	few := strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(whole, "- {name: mysql3, ", "# "), "- {name: mysql4, ", "# "), "- {name: mysql1, ", "# ")
	next := c.net.File("next.yaml", few)
	removals := "ipvsadm -d -t 10.77.0.100:3306 -r 10.77.0.11:3306\nipvsadm -d -t 10.77.0.100:3306 -r 10.77.0.13:3306\nipvsadm -d -t 10.77.0.100:3306 -r 10.77.0.14:3306\n"
	if out, err := c.master.ctl("diff", next); err != nil || out != removals+"# 3 of 4 real servers would go: lvsctl reload refuses that without --force\n" {
		t.Errorf("lvsctl diff: %v\n%s", err, out)
	}
	if out, err := c.master.ctl("diff"); err != nil || out != "# nothing changes in the IPVS table\n" {
		t.Errorf("lvsctl diff of the file that runs: %v\n%s", err, out)
	}
	c.net.File("broken.yaml", strings.Replace(few, "scheduler: mh", "scheduler: best", 1))
	if out, err := c.master.ctl("diff", strings.Replace(next, "next", "broken", 1)); lab.ExitCode(err) != 2 || !strings.Contains(err.Error(), "broken.yaml:20:16: ") {
		t.Errorf("lvsctl diff of a broken file: %v\n%s", err, out)
	}

	c.net.File("cluster.yaml", few)
	_, err := c.master.ctl("reload")
	if lab.ExitCode(err) != 1 || !strings.Contains(err.Error(), "3 of 4 real servers: mysql/mysql1, mysql/mysql3, mysql/mysql4") {
		t.Errorf("lvsctl reload: %v, want exit code 1 and a list", err)
	}
	if now := c.master.commands(); now != before {
		t.Errorf("a refused reload changed the table from\n%s\nto\n%s", before, now)
	}
	if out, _ := c.master.ctl("status", "--check"); !strings.HasPrefix(out, "WARNING") || !strings.Contains(out, "3 of 4 real servers") {
		t.Errorf("lvsctl status --check after a refused reload: %s", out)
	}
	if out, err := c.master.ctl("reload", "--force"); err != nil || out != "reloaded\n" {
		t.Errorf("lvsctl reload --force: %v %s", err, out)
	}
	c.awaitTable(c.master, "10.77.0.12:3306")

	c.net.File("cluster.yaml", whole)
	c.reload()
	c.awaitTable(c.master, all...)
	c.restores(before)

	c.net.File("cluster.yaml", few)
	log := c.master.daemon.Mark()
	c.master.daemon.Signal(syscall.SIGHUP)
	log.WaitLog(`level=WARN msg="the new cluster file removes most real servers" removed="3 of 4 real servers: mysql/mysql1, mysql/mysql3, mysql/mysql4"`, soon)
	c.awaitTable(c.master, "10.77.0.12:3306")
}

// restores compares the table with an earlier one, and lets ipvsadm -R make it from what lvsctl prints, on a host that has
// none.
func (c *cluster) restores(before string) {
	c.t.Helper()
	printed, err := c.master.ctl("table")
	if err != nil {
		c.t.Fatal(err)
	}
	c.net.File("table", printed)
	sorted := func(text string) string { return c.client.Run("sh", "-c", "sort <<'END'\n"+text+"\nEND") }
	c.client.Run("sh", "-c", "ipvsadm -R < "+strings.Replace(c.file, "cluster.yaml", "table", 1))
	copied := c.client.Run("sh", "-c", "ipvsadm -Sn && ipvsadm -Ln --thresholds")
	for who, now := range map[string]string{"the table after the reload": c.master.commands(), "what ipvsadm -R made of lvsctl table": copied} {
		if sorted(now) != sorted(before) {
			c.t.Errorf("%s:\n%s\nwant\n%s\nlvsctl table printed\n%s", who, now, before, printed)
		}
	}
	foreign, err := c.master.ctl("table", "--foreign")
	if want := "-A -f 5 -s rr\n-A -u 10.77.0.100:53 -s wlc -o\n-a -u 10.77.0.100:53 -r 10.77.0.11:53 -i -w 7\n"; err != nil || foreign != want {
		c.t.Errorf("lvsctl table --foreign: %v\n%s\nwant\n%s", err, foreign, want)
	}
}
