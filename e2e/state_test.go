package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// A directoryFault is a fault of the state directory or of the state file in it.
type directoryFault struct {
	name    string
	before  func(h *lab.Host, dir string) // made before the start; nil: none
	during  func(h *lab.Host, dir string) // made while the daemon runs; nil: none
	logged  string                        // a regular expression that the log must match; "": none
	problem bool                          // status must report it
	short   bool                          // also in the short form; unit tests cover the others
}

// foreignState is a state file that lists things that are not ours.
const foreignState = `{"version": VERSION, "boot_id": "BOOT", "net": "NET",
 "addresses": [{"interface": "eth0", "prefix": "10.77.0.201/32"}, {"interface": "lo", "prefix": "10.77.0.201/32"}],
 "services": [{"protocol": "tcp", "address": "10.77.0.200", "port": 80}],
 "sysctls": [{"key": "net.ipv4.conf.all.log_martians", "found": "1", "wrote": "0"}]}`

// claims returns a function that writes such a file; for an argument that is "" it uses the value of this kernel,
// namespace or version.
func claims(version, boot, net string) func(h *lab.Host, dir string) {
	return func(h *lab.Host, dir string) {
		if version == "" {
			version = "2"
		}
		if boot == "" {
			boot = strings.TrimSpace(h.ReadFile("/proc/sys/kernel/random/boot_id"))
		}
		if net == "" {
			net = strings.TrimSpace(h.Run("readlink", "/proc/self/ns/net"))
		}
		content(strings.NewReplacer("VERSION", version, "BOOT", boot, "NET", net).Replace(foreignState))(h, dir)
	}
}

func content(text string) func(h *lab.Host, dir string) {
	return func(h *lab.Host, dir string) {
		err := os.MkdirAll(dir, 0o755)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "state.json"), []byte(text), 0o600)
		}
		if err != nil {
			h.Run("sh", "-c", "echo '"+err.Error()+"' >&2; false")
		}
	}
}

func command(line string) func(h *lab.Host, dir string) {
	return func(h *lab.Host, dir string) { h.Run("sh", "-c", "mkdir -p "+dir+" && cd "+dir+" && "+line) }
}

const lostState = "the changes that an earlier run made to the kernel are not known"

var directoryFaults = []directoryFault{
	{name: "empty file", before: content(""), logged: lostState},
	{name: "truncated file", before: content(foreignState[:len(foreignState)/2]), logged: lostState},
	{name: "garbage", before: command("head -c 5000 /dev/urandom >state.json"), logged: lostState, short: true},
	{name: "huge file", before: command("truncate -s 2G state.json"), logged: "2147483648 bytes are too many"},
	{name: "a directory", before: command("mkdir -p state.json/full"), logged: "not a regular file"},
	{name: "of another boot", before: claims("", "57910aff-0000-43cf-ba64-0d33e7c26278", "")},
	{name: "of another machine in the same boot", before: claims("", "", "net:[1]")},
	{name: "of a later version", before: claims("3", "", ""), logged: "version 3 is not 1 or 2"},
	{name: "disk full", before: command("mount -t tmpfs -o size=4k,nr_inodes=4 none . && cd $PWD && cat /dev/zero >fill 2>/dev/null || true"), logged: "no space left", problem: true},
	{name: "read-only", before: command("mount -t tmpfs none . && mount -o remount,ro ."), logged: "read-only file system", problem: true, short: true},
	{name: "read-only while it runs", before: command("mount -t tmpfs none ."), during: command("mount -o remount,ro .")},
	{name: "deleted while it runs", during: func(h *lab.Host, dir string) { h.Run("rm", "-r", dir) }},
	{name: "a file in its place", before: func(h *lab.Host, dir string) { h.Run("sh", "-c", "rm -rf "+dir+"; echo >"+dir) }, logged: "not a directory", problem: true},
}

// TestStateDirectory: with any fault of the state directory the daemons serve, report the fault, and change nothing
// that is not theirs.
//
// Proves docs/operations.md: "If the disk is full, read-only or does not answer within a second, or the directory was
// deleted or replaced by a file, the daemon still starts and serves, and keeps its state in memory only."
// Proves docs/operations.md: "A file of another boot or another network namespace does not describe this kernel and is
// replaced."
func TestStateDirectory(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.HasLongForm(t)
	c := newCluster(t, shape{advert: "100ms", instance: "lease: 3s"})
	untouched := addForeignServices(c.master)
	for _, n := range []*node{c.master, c.mysql1} {
		n.Run("ip", "addr", "add", "10.77.0.201/32", "dev", "eth0")
		n.Run("ip", "addr", "add", "10.77.0.201/32", "dev", "lo")
	}
	director, agent := hostState(c.master.Host), hostState(c.mysql1.Host)
	each := func(run func(t *testing.T, f directoryFault)) func(t *testing.T) {
		return func(t *testing.T) {
			for _, f := range directoryFaults {
				if f.short || !testing.Short() {
					t.Run(f.name, func(t *testing.T) { run(t, f) })
				}
			}
		}
	}
	t.Run("director", each(func(t *testing.T, f directoryFault) {
		f.run(t, c.master, c.master.Path("state"), func() { c.awaitHolder(c.master, soon); c.awaitTable(c.master) })
		assertRestored(t, c.master.Host, director)
		if problem := untouched(); problem != nil {
			t.Error(problem)
		}
	}))
	t.Run("agent", each(func(t *testing.T, f directoryFault) {
		f.run(t, c.mysql1, c.mysql1.Path("state", "realserver"), func() { lab.Eventually(t, soon, c.mysql1.readyForDR) })
		assertRestored(t, c.mysql1.Host, agent)
	}))
}

// run runs the node's daemon with the fault, up to a graceful stop. serves must return once the daemon serves.
func (f directoryFault) run(t *testing.T, n *node, dir string, serves func()) {
	t.Helper()
	n.Run("sh", "-c", "umount "+dir+" 2>/dev/null; rm -rf "+n.Path("state"))
	n.Run("mkdir", "-p", filepath.Dir(dir))
	if f.before != nil {
		f.before(n.Host, dir)
	}
	n.start()
	serves()
	if f.logged != "" {
		n.daemon.WaitLog(f.logged, soon)
	}
	if f.during != nil {
		f.during(n.Host, dir)
	}
	if f.problem {
		lab.Eventually(t, soon, func() error {
			if out, err := n.ctl("status", "-o", "json"); err != nil || !strings.Contains(out, "kept in memory only") {
				return fmt.Errorf("%v, and no problem in %s", err, out)
			}
			return nil
		})
	}
	if f.name == "deleted while it runs" { // the daemon creates it again, with the complete state
		lab.Eventually(t, soon, func() error {
			data, err := os.ReadFile(filepath.Join(dir, "state.json"))
			if err == nil && !strings.Contains(string(data), vipPrefix) {
				err = os.ErrInvalid
			}
			return err
		})
	}
	serves()
	if code := n.daemon.Stop(); code != 0 {
		t.Errorf("exit code %d after SIGTERM", code)
	}
}
