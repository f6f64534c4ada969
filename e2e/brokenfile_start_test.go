package e2e

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// lastGood returns the copy of the cluster file in the state directory of the node's daemon, and its mode; "" and 0 if
// there is none.
func (n *node) lastGood() (text string, mode os.FileMode) {
	n.t.Helper()
	path := n.Path("state", "cluster.last-good.yaml")
	if strings.HasSuffix(n.binary, "lvs-realserver") {
		path = n.Path("state", "realserver", "cluster.last-good.yaml")
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", 0
	}
	data, err := os.ReadFile(path)
	if err != nil {
		n.t.Fatal(err)
	}
	return string(data), info.Mode()
}

// TestLastGood: a director or an agent that starts with an unusable cluster file runs the last good one, and warns
// until the file is repaired. Without a copy it does not start.
//
// Proves docs/operations.md: "If the cluster file cannot be used at the start (invalid, missing, not a regular file),
// the daemon runs that copy:"
// Proves docs/operations.md: "`lvsctl status` shows the same as a `PROBLEM`, and `status --check` warns, until a reload
// of a corrected file, or until the file is again what the copy is."
// Proves docs/operations.md: "Without a copy, with an invalid copy (`the last good copy of the cluster file cannot be
// used either`), or if another daemon of this kind already runs: exit code 2, and the problems of the cluster file."
// Proves docs/operations.md: "A start refuses a valid file for the same reasons as a reload"
func TestLastGood(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.HasLongForm(t)
	c := newCluster(t, shape{advert: "100ms"})
	c.answering()
	c.startMaster()
	copied := func(n *node) {
		t.Helper()
		lab.Eventually(t, soon, func() error {
			if got, mode := n.lastGood(); got != c.text() || mode != 0o600 {
				return fmt.Errorf("%s: the copy is %s\n%s", n.Name, mode, got)
			}
			return nil
		})
	}
	copied(c.master)
	c.reload("scheduler: rr", "scheduler: wlc")
	copied(c.master)
	if out, err := c.mysql2.ctl("reload"); err != nil {
		t.Fatalf("lvsctl reload of the agent: %v %q", err, out)
	}
	copied(c.mysql2)
	good, table := c.text(), c.master.dataPlane()
	broken := map[string]mistake{}
	for _, m := range mistakes() {
		broken[m.name] = m
	}

	names := []string{"unknown interface", "value misspelt", "missing"} // a reload refuses the first one, too
	if !testing.Short() {
		names = append(names, "empty", "a named pipe")
	}
	for i, name := range names {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			if i == 0 {
				c.master.daemon.Kill()
			} else if code := c.master.daemon.Stop(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			m := broken[name]
			m.old, m.new = strings.ReplaceAll(m.old, ": rr", ": wlc"), strings.ReplaceAll(m.new, ": rr", ": wlc")
			m.apply(t, c.file, good)
			c.master.start().WaitLog(`level=ERROR msg="the cluster file cannot be used; the last good copy runs`, soon)
			lab.Eventually(t, soon, func() error {
				if now := c.master.dataPlane(); now != table {
					return fmt.Errorf("addresses and table were\n%sand are\n%s", table, now)
				}
				return nil
			})
			for range 2 { // a refused reload of the same file must not end the warning
				c.master.checkWarns(t, "the last good copy", true)
				c.master.refusedReload(false)
			}
		})
	}
	t.Run("repaired", func(t *testing.T) {
		if err := os.RemoveAll(c.file); err != nil {
			t.Fatal(err)
		}
		c.net.File("cluster.yaml", good)
		c.reload("scheduler: wlc", "scheduler: rr")
		c.master.checkWarns(t, "the last good copy", false)
		copied(c.master)
	})
	t.Run("agent", func(t *testing.T) {
		c.mysql2.daemon.Kill()
		c.edit("version: 1", "version: one")
		mark := c.mysql2.start().Mark()
		mark.WaitLog("keeping this real server", soon)
		if err := c.mysql2.readyForDR(); err != nil {
			t.Error(err)
		}
		c.mysql2.checkWarns(t, "the last good copy", true)
		mark = c.mysql2.daemon.Mark()
		c.mysql2.daemon.Signal(syscall.SIGHUP)
		mark.WaitLog("reload refused", soon)
		// Status is answered after the next pass, which might log the problem again.
		if _, err := c.mysql2.ctl("status"); err != nil {
			t.Error(err)
		}
		if log := mark.Log(); strings.Count(log, "version: ") != 1 {
			t.Errorf("a refused reload is logged more than once:\n%s", log)
		}
	})
	t.Run("no copy", func(t *testing.T) {
		c.master.daemon.Stop()
		c.net.File("lvs-master/state/cluster.last-good.yaml", "version: 1\n") // damaged
		c.master.refuses("a copy that cannot be used either", 2, `cluster\.yaml:1:10: version`, c.master.runArgs()...)
		if err := os.Remove(c.master.Path("state", "cluster.last-good.yaml")); err != nil {
			t.Fatal(err)
		}
		c.master.refuses("no copy", 2, `cluster\.yaml:1:10: version`, c.master.runArgs()...)
	})
}
