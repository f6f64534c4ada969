package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// TestSeed003Check: rows 003-2 and 003-3: what seed 003 writes, and keepalived accepts or ignores, is refused with the remedy.
//
// Proves docs/cluster-file.md: "the state is elected, not configured"
func TestSeed003Check(t *testing.T) {
	lab.Need(t)
	lab.Long(t)
	good := shape{noPreempt: true}.file()
	host := lab.New(t)
	admin := host.Host("admin")
	for _, row := range []struct{ name, old, new, says string }{
		{"003-2 state MASTER with nopreempt", "    priority: 100\n", "    priority: 100\n    state: MASTER\n", "vrrp_instances[0].state: the state is elected, not configured: the highest priority wins (remove it)"},
		{"003-3 no virtual addresses", "    virtual_addresses: [10.77.0.100/32]\n", "", "vrrp_instances[0].virtual_addresses: is required: the addresses that move between the directors"},
	} {
		t.Run(row.name, func(t *testing.T) {
			file := host.File("cluster.yaml", strings.Replace(good, row.old, row.new, 1))
			_, err := admin.Try(program(t, "lvsctl"), "check", file)
			if lab.ExitCode(err) != 2 || !strings.Contains(fmt.Sprint(err), row.says) {
				t.Errorf("%v\nwant %s", err, row.says)
			}
		})
	}
}

// TestSeed003Hook: row 003-4: a program that runs when the role changes, instead of a loop that reads a state file. It fails
// once and is tried again; one that hangs is killed; the event stream has both, and who became what.
//
// Proves docs/hooks.md: "A hook that fails is tried again `retries` times"
func TestSeed003Hook(t *testing.T) {
	lab.Need(t)
	lab.Long(t)
	t.Run("003-4 promote and demote", func(t *testing.T) {
		p := trackedDirectors(t, "db", localTrack, "priority: 100")
		h := newHooks(p.cluster)
		promote := filepath.Join(h.dir, "promote")
		for path, text := range map[string]string{
			promote:          "#!/bin/sh\ndir=$(dirname \"$0\")\necho promote >>\"$dir/promoted\"\n[ \"$(wc -l <\"$dir/promoted\")\" -ge 2 ] || { echo no quorum yet; exit 4; }\n",
			promote + "-not": "#!/bin/sh\nsleep 600\n",
		} {
			if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		p.rewrite("priority: 100", fmt.Sprintf("priority: 100, notify: [{on: [master], command: [%s], retries: 2}, {on: [fault], command: [%s-not], timeout: 500ms}]", promote, promote))
		p.answers(p.master, true)
		p.master.start()
		p.master.daemon.WaitLog("msg=directing", soon)
		stream := p.master.Start("events", program(t, "lvsctl"), "--socket", p.master.socket, "events", "-f", "-o", "json", "--since", "1h")
		p.awaitHolder(p.master, soon)
		stream.WaitLog(`"hook_ended".*exit status 4.*no quorum yet`, soon)
		lab.Eventually(t, soon, func() error {
			b, _ := os.ReadFile(filepath.Join(h.dir, "promoted"))
			if n := strings.Count(string(b), "promote"); n != 2 {
				return fmt.Errorf("it ran %d times", n)
			}
			return nil
		})
		p.answers(p.master, false)
		stream.WaitLog(`"FAULT"`, soon)
		stream.WaitLog(`"hook_ended".*killed after 500ms`, soon)
		p.ctlEventually(p.master, "hook_failed")
	})
}
