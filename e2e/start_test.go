package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// runArgs returns the command line of a director on the node, with flags that override the usual ones.
func (n *node) runArgs(flags ...string) []string {
	return append([]string{
		n.binary, "run", "--config", n.file, "--socket", n.socket, "--state-dir", n.Path("state"),
	}, flags...)
}

// refuses runs a command that must exit with this code and, besides log lines, one line of output that matches.
func (n *node) refuses(what string, code int, sentence string, argv ...string) {
	n.t.Helper()
	_, err := n.Try(append([]string{"timeout", "60"}, argv...)...)
	if err == nil {
		n.t.Errorf("%s: accepted", what)
		return
	}
	if got := lab.ExitCode(err); got != code {
		n.t.Errorf("%s: exit code %d, want %d: %v", what, got, code, err)
	}
	_, output, _ := strings.Cut(err.Error(), "exit status "+fmt.Sprint(lab.ExitCode(err))+": ")
	var sentences []string
	for line := range strings.SplitSeq(output, "\n") {
		if !strings.HasPrefix(line, "time=") {
			sentences = append(sentences, line)
		}
	}
	if len(sentences) != 1 || !regexp.MustCompile(sentence).MatchString(sentences[0]) {
		n.t.Errorf("%s: printed %q, want one line that matches %q", what, sentences, sentence)
		return
	}
	n.t.Logf("%s: exit %d: %s", what, code, sentences[0])
}

// elsewhere runs a command in a network namespace of its own, where no other daemon runs.
func elsewhere(argv []string) []string { return append([]string{"unshare", "--net"}, argv...) }

// TestRefusals: a director refuses at once what it cannot work with, in one sentence that ends with the remedy: exit
// code 2 for mistakes of the user, 1 for what the machine lacks. A running director is not disturbed.
//
// Proves docs/operations.md: "It prints one sentence on stderr, which ends with the remedy:"
// Proves docs/operations.md: "At most one director and one agent run in a network namespace, whatever their state
// directories are"
func TestRefusals(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c := newCluster(t, shape{advert: relaxedAdvert.String()})
	n := c.master
	n.start()
	n.daemon.WaitLog("to=MASTER", soon)
	quiet := n.daemon.Mark()

	n.refuses("another director runs", 1, `lvs-director \(pid \d+\) runs in this network namespace already: stop it first`,
		n.runArgs("--socket", n.Path("sock2"), "--state-dir", n.Path("state2"))...)
	n.refuses("cleanup beside it, with another state directory", 1, `lvs-director \(pid \d+\) runs in this network namespace already`,
		n.binary, "cleanup", "--config", n.file, "--state-dir", n.Path("state2"))
	// A network namespace of its own does not help if the files are the same.
	n.refuses("the socket is in use", 1, `socket .*another daemon answers on it: stop that one or use another --socket`,
		elsewhere(n.runArgs("--state-dir", n.Path("state2")))...)
	n.refuses("the state directory is in use", 1, `another lvs-director holds .*state \(pid \d+\): stop it or use another --state-dir`,
		elsewhere(n.runArgs("--socket", n.Path("sock2")))...)
	n.refuses("a file in the place of the socket", 1, `socket .*the path exists and is not a socket`,
		elsewhere(n.runArgs("--state-dir", n.Path("state2"), "--socket", c.file))...)

	// The user nobody may read and write everything that a director needs, but has no privileges.
	open := c.net.File("everybodys.yaml", shape{}.file())
	home := filepath.Join(c.net.Dir(), "nobody")
	for path, mode := range map[string]os.FileMode{c.net.Dir(): 0o755, open: 0o644, home: 0o777} {
		if path == home {
			if err := os.Mkdir(home, mode); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	asNobody := append([]string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"},
		n.runArgs("--config", open, "--socket", filepath.Join(home, "sock"), "--state-dir", filepath.Join(home, "state"))...)
	n.refuses("not root", 1, `lvs-director: .*not permitted.*(as root|CAP_NET_ADMIN)`, elsewhere(asNobody)...)

	n.refuses("no such file", 2, `lvs-director: cluster file: .*no such file`, n.runArgs("--config", "/nowhere.yaml")...)
	bad := c.net.File("bad.yaml", strings.Replace(shape{}.file(), "scheduler: rr", "scheduler: rrr", 1))
	n.refuses("an invalid file", 2, `bad\.yaml:\d+:\d+: virtual_servers\[0\]\.scheduler: `, n.runArgs("--config", bad)...)
	n.refuses("an unknown node", 2, `lvs-director: .*elsewhere.*lvs-master`, elsewhere(n.runArgs("--node", "elsewhere"))...)
	n.refuses("an unknown flag", 2, `lvs-director: .*--colour`, n.runArgs("--colour")...)
	n.refuses("an unknown verb", 2, `lvs-director: .*"fly"`, n.binary, "fly")
	n.refuses("lvsctl without a daemon", 1, `lvsctl: .*sock3`, program(t, "lvsctl"), "--socket", n.Path("sock3"), "status")

	if log := quiet.Log(); strings.Contains(log, "level=ERROR") || strings.Contains(log, "msg=state") || !n.daemon.Running() {
		t.Errorf("the running director was disturbed:\n%s", log)
	}
	if !n.holds() {
		t.Error("the running director has lost its VIP")
	}
}

// TestKernelParts: without IPVS, or without the scheduler that the file requires, the director refuses to start and
// names the module to load. It does not load modules itself; that is left to the system.
//
// Proves docs/operations.md: "`this kernel has no IPVS: load the module ip_vs (modprobe ip_vs; …)` | 1 |"
// Proves docs/quickstart.md: "The daemon does not load kernel modules; the file in `modules-load.d` does."
func TestKernelParts(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Exclusive(t)
	c := newCluster(t, shape{scheduler: "wlc"})
	n := c.master
	disableModuleLoading(t)
	unload(t, `^ip_vs_wlc$`)
	n.refuses("no scheduler", 1, `lvs-director: .*wlc.*load the module ip_vs_wlc \(modprobe ip_vs_wlc; .*modules-load\.d`, n.runArgs()...)
	if table := n.Run("ipvsadm", "-Ln"); strings.Contains(table, vip) {
		t.Errorf("the refused start left a virtual server:\n%s", table)
	}
	unload(t, `^ip_vs_`)
	unload(t, `^ip_vs$`)
	n.refuses("no IPVS", 1, `lvs-director: .*this kernel has no IPVS: load the module ip_vs \(modprobe ip_vs; .*modules-load\.d`, n.runArgs()...)
	if n.holds() {
		t.Error("the refused start left a VIP")
	}
}

// unload removes the kernel modules whose names match. It retries until the network namespaces of earlier tests no
// longer use them.
func unload(t *testing.T, pattern string) {
	t.Helper()
	lab.Eventually(t, 2*soon, func() error {
		loaded, err := os.ReadFile("/proc/modules")
		if err != nil {
			return err
		}
		for line := range strings.SplitSeq(string(loaded), "\n") {
			name, _, _ := strings.Cut(line, " ")
			if !regexp.MustCompile(pattern).MatchString(name) {
				continue
			}
			if out, err := exec.Command("rmmod", name).CombinedOutput(); err != nil {
				time.Sleep(200 * time.Millisecond)
				return fmt.Errorf("rmmod %s: %w: %s", name, err, out)
			}
		}
		return nil
	})
}

// TestWithoutCapabilities: a director that lacks a privilege names it and the remedy.
//
// Proves docs/operations.md: "`CAP_NET_RAW` or `CAP_NET_ADMIN` is missing | the daemon does not start, and names the
// missing capability"
func TestWithoutCapabilities(t *testing.T) {
	lab.Need(t, lab.IPVS)
	m := newFarmCluster(t, 2, "1s", "interval: 1s")
	for lacks, sentence := range map[string]string{
		"net_raw":   "CAP_NET_RAW",
		"net_admin": "CAP_NET_ADMIN",
	} {
		d := m.master.Host.Start("director-without-"+lacks, "setpriv", "--bounding-set", "-"+lacks, m.master.binary, "run",
			"--config", m.file, "--socket", m.master.socket, "--state-dir", m.master.Path("state-"+lacks))
		if code := d.Wait(soon); code != 1 {
			t.Errorf("without %s: exit code %d, want 1", lacks, code)
		}
		if log := d.Log(); !strings.Contains(log, sentence) || !strings.Contains(log, "run as root") {
			t.Errorf("without %s the log is:\n%s", lacks, log)
		}
	}
}
