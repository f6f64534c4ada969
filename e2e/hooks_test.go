package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// hookScript writes a line for each run: when it begins, what it was told, who it runs as and whether the node has the VIP,
// and when it ends. The files slow and broken in its directory make it so.
const hookScript = `#!/bin/sh
dir=$(dirname "$0")
log="$dir/$LVS_NODE"
has() { ip -o addr show to ` + vipPrefix + ` | grep -c .; }
echo "begin $LVS_EVENT from $LVS_PREVIOUS_STATE args $* user $(id -un) vip $(has)" >>"$log"
[ -e "$dir/slow" ] && sleep 1
[ "$LVS_EVENT" = pre_stop ] && sleep 0.5
# A hook for master starts while the VIPs are being added, those of a state without VIPs while they are being removed.
case $LVS_EVENT in master) want=1 ;; backup | fault | stop) want=0 ;; *) want=$(has) ;; esac
for try in $(seq 100); do [ "$(has)" = $want ] && break; sleep 0.02; done
echo "end $LVS_EVENT vip $(has)" >>"$log"
if [ -e "$dir/broken" ]; then echo "cannot promote"; exit 3; fi
`

// hooks is the directory of the script.
type hooks struct {
	t   *testing.T
	dir string
}

// newHooks writes the script where any user may run it, and may write.
func newHooks(c *cluster) hooks {
	h := hooks{c.t, filepath.Join(c.net.Dir(), "hooks")}
	if err := os.Mkdir(h.dir, 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(h.script(), []byte(hookScript), 0o755); err != nil {
		c.t.Fatal(err)
	}
	for path, mode := range map[string]os.FileMode{c.net.Dir(): 0o755, h.dir: 0o777} { // not masked by umask
		if err := os.Chmod(path, mode); err != nil {
			c.t.Fatal(err)
		}
	}
	return h
}

func (h hooks) script() string { return filepath.Join(h.dir, "hook.sh") }

// when makes the script slow or broken, or not.
func (h hooks) when(name string, on bool) {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	err := os.Remove(path)
	if on {
		err = os.WriteFile(path, nil, 0o644)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// of returns the lines of a node.
func (h hooks) of(n *node) []string {
	b, _ := os.ReadFile(filepath.Join(h.dir, n.Name))
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}

// await waits until the last lines of a node are these.
func (h hooks) await(n *node, last ...string) {
	h.t.Helper()
	lab.Eventually(h.t, soon, func() error {
		lines := h.of(n)
		if got := strings.Join(lines[max(0, len(lines)-len(last)):], "\n"); got != strings.Join(last, "\n") {
			return fmt.Errorf("the hooks of %s:\n%s\nwant at the end:\n%s", n.Name, strings.Join(lines, "\n"), strings.Join(last, "\n"))
		}
		return nil
	})
}

// TestSeed002Notify: row 002-4, scripts get type, name, state and priority as those of keepalived, run one after the
// other, and the last one is that of the last state. A director that becomes MASTER does not run those of BACKUP on its way
// (004-S4). pre_stop ends before the VIP is removed.
//
// Proves docs/hooks.md: "So the last hooks that run are those of the state that the instance is in"
func TestSeed002Notify(t *testing.T) {
	lab.Need(t, lab.IPVS)
	t.Run("002-4 notify scripts", seed002Notify)
}

func seed002Notify(t *testing.T) {
	c := newCluster(t, shape{advert: "100ms"})
	h := newHooks(c)
	c.rewrite("    per_node:", fmt.Sprintf("    notify: [{on: [any, pre_stop], command: [%s, own], arguments: true, timeout: 10s}]\n    per_node:", h.script()))
	c.answering()
	c.mysql1.start()
	c.mysql2.start()
	c.master.start()
	c.awaitHolder(c.master, soon) // or else lvs-backup may be MASTER first
	c.backup.start()
	c.awaitAll()
	const begin, end = "begin %s from %s args own INSTANCE mysql %s %d user nobody vip %d", "end %s vip %d"
	h.await(c.backup, fmt.Sprintf(begin, "backup", "INIT", "BACKUP", 100, 0), fmt.Sprintf(end, "backup", 0))
	h.await(c.master, fmt.Sprintf(end, "master", 1))
	if lines := h.of(c.master); len(lines) != 2 || !strings.HasPrefix(lines[0], "begin master from BACKUP args own INSTANCE mysql MASTER 150 user nobody") {
		t.Errorf("the hooks of a director that becomes MASTER at its start: %q", lines)
	}
	c.quickTransitions(h)

	c.master.daemon.Signal(syscall.SIGTERM)
	h.await(c.master, fmt.Sprintf(end, "backup", 0), fmt.Sprintf(begin, "stop", "BACKUP", "STOP", 150, 0), fmt.Sprintf(end, "stop", 0))
	// It handed over after pre_stop: the hook for backup may begin before the VIP is removed.
	lines := h.of(c.master)
	if lines = lines[len(lines)-5:]; lines[0] != fmt.Sprintf(end, "pre_stop", 1) || !strings.HasPrefix(lines[1], "begin backup from MASTER ") {
		t.Errorf("the hooks of a stop: %q", lines)
	}
	c.master.daemon.Wait(soon)
	c.awaitHolder(c.backup, soon)
	h.await(c.backup, fmt.Sprintf(end, "master", 1))

	h.when("broken", true)
	before := len(h.of(c.backup))
	c.backup.daemon.Kill() // no hook runs for a crash
	if lines := h.of(c.backup); len(lines) != before {
		t.Errorf("a crash ran %q", lines[before:])
	}
	c.backup.start()
	h.await(c.backup, fmt.Sprintf(end, "master", 1))
	c.backup.checks(1, "hook of instance mysql: master: "+h.script()+": exit status 3")
	if out, err := c.backup.ctl("events"); err != nil || !strings.Contains(out, "cannot promote") {
		t.Errorf("%v: the events do not say why the hook failed: %s", err, out)
	}
	h.when("broken", false)
	c.backup.ctl("reload")
	c.backup.checks(0, "")
}

// quickTransitions changes the state of the MASTER faster than its hooks run.
func (c *cluster) quickTransitions(h hooks) {
	c.t.Helper()
	h.when("slow", true)
	link := c.master.Link("eth0")
	for range 5 {
		link.CarrierDown()
		lab.Eventually(c.t, soon, func() error { return c.master.stateIs("FAULT") })
		link.CarrierUp()
		lab.Eventually(c.t, soon, func() error { return c.master.stateIs("MASTER") })
	}
	h.when("slow", false)
	h.await(c.master, "end master vip 1")
	lines := h.of(c.master)
	for i, line := range lines {
		if want := map[bool]string{true: "begin", false: "end"}[i%2 == 0]; !strings.HasPrefix(line, want) {
			c.t.Errorf("two hooks at the same time: %q", lines)
			break
		}
	}
	lab.Eventually(c.t, soon, func() error { return c.backup.stateIs("BACKUP") })
}
