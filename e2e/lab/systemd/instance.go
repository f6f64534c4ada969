package systemd

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// An Instance is a real systemd, the one of the distribution, that runs as the first process of a host: it has process,
// mount, cgroup, IPC and UTS namespaces of its own in the host's network namespace. Its /etc, /var, /run, /tmp, /dev and
// /usr/local begin empty but for what Options put there; the rest of the tree is that of the machine. Of the
// distribution's units it has the targets, the journal, and systemd-modules-load.
type Instance struct {
	h       *lab.Host
	process *lab.Daemon
	journal *lab.Daemon
	pid     int // of the first process, as the lab sees it
}

// Options is what is on the host before its systemd starts.
type Options struct {
	// Programs are files of this machine by the path at which the host sees them, read-only.
	Programs map[string]string
	// Files are written, with the directories they are in.
	Files []File
}

// A File is a file on a host with systemd.
type File struct {
	Path    string // absolute, below /etc, /var, /run, /tmp or /usr/local
	Content string
	Mode    fs.FileMode // 0 = 0644
}

const (
	bootDeadline = time.Minute      // of a boot that takes one or two seconds on a quiet machine
	killDeadline = 15 * time.Second // for a process that the kernel does not let go
	shownLines   = 40               // of the journal, when systemctl fails
)

// Start boots a systemd on the host and waits until its target is reached. Units are started by Systemctl. When
// the test ends it is killed with everything that it started.
func Start(h *lab.Host, o Options) *Instance {
	h.T().Helper()
	argv, env, err := lab.RoleCommand(parentRole, arguments{Options: o, Hostname: h.Name})
	if err != nil {
		h.T().Fatalf("lab: systemd on %s: %v", h.Name, err)
	}
	s := &Instance{h: h}
	s.process = h.StartWith(lab.StartOptions{Name: "systemd", Argv: argv, Env: env})
	h.T().Cleanup(s.stop)
	line := s.process.WaitLog(`^`+readyPrefix+` \d+$`, bootDeadline)
	s.pid, err = strconv.Atoi(strings.TrimPrefix(line.Text, readyPrefix+" "))
	if err != nil {
		h.T().Fatalf("lab: systemd on %s: %v", h.Name, err)
	}
	s.journal = h.Start("journal", s.entering("journalctl", "--follow", "--lines=all", "--quiet", "--output=short-precise", "--no-hostname")...)
	return s
}

// stop is more than the end of the network would do: it lets the first process's parent remove the cgroups.
func (s *Instance) stop() {
	s.process.Signal(syscall.SIGTERM)
	select {
	case <-s.process.Exited():
	case <-time.After(killDeadline):
		s.h.T().Errorf("lab: systemd on %s still runs %s after it was killed", s.h.Name, killDeadline)
	}
}

// entering is the command line that runs another one among systemd's processes.
func (s *Instance) entering(argv ...string) []string {
	return append([]string{"nsenter", "--target", strconv.Itoa(s.pid), "--mount", "--pid", "--cgroup", "--ipc", "--uts", "--"}, argv...)
}

// Run executes a command beside the units, as a login of root would, and returns its standard output. A failure, or
// more than 30 s, fails the test.
func (s *Instance) Run(argv ...string) string {
	s.h.T().Helper()
	return s.h.Run(s.entering(argv...)...)
}

// Try is Run for commands that may fail, as Host.Try is.
func (s *Instance) Try(argv ...string) (string, error) { return s.h.Try(s.entering(argv...)...) }

// Systemctl runs systemctl(1) and returns its standard output. A failure fails the test and shows the journal of the
// units that are named.
func (s *Instance) Systemctl(args ...string) string {
	s.h.T().Helper()
	out, err := s.Try(append([]string{"systemctl"}, args...)...)
	if err != nil {
		s.h.T().Fatalf("%v\n%s", err, s.journal.Tail(shownLines))
	}
	return out
}

// Property is a property of a unit, as `systemctl show` prints it.
func (s *Instance) Property(unit, name string) string {
	s.h.T().Helper()
	return strings.TrimSpace(s.Systemctl("show", "--property", name, "--value", unit))
}

// MainPID is the main process of a service, in the host's own numbers; 0 when it has none.
func (s *Instance) MainPID(unit string) int {
	s.h.T().Helper()
	pid, err := strconv.Atoi(s.Property(unit, "MainPID"))
	if err != nil {
		s.h.T().Fatalf("lab: main process of %s on %s: %v", unit, s.h.Name, err)
	}
	return pid
}

// Kill sends a signal to a process, given in the host's own numbers, at once: no program is started for it.
func (s *Instance) Kill(pid int, signal syscall.Signal) {
	s.h.T().Helper()
	outer, err := s.outside(pid)
	if err == nil {
		err = syscall.Kill(outer, signal)
	}
	if err != nil {
		s.h.T().Fatalf("lab: send %s to process %d on %s: %v", signal, pid, s.h.Name, err)
	}
}

// outside is the lab's number of a process: the one whose number in systemd's process namespace is pid (proc(5), NSpid).
func (s *Instance) outside(pid int) (int, error) {
	space, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", s.pid))
	if err != nil {
		return 0, err
	}
	for _, candidate := range s.h.Processes() {
		if own, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", candidate)); err != nil || own != space {
			continue
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", candidate))
		if err != nil {
			continue // it has just ended
		}
		for line := range strings.Lines(string(status)) {
			if numbers, ok := strings.CutPrefix(line, "NSpid:"); ok && lastField(numbers) == strconv.Itoa(pid) {
				return candidate, nil
			}
		}
	}
	return 0, syscall.ESRCH
}

func lastField(line string) string {
	fields := strings.Fields(line)
	if len(fields) == 0 {
		return ""
	}
	return fields[len(fields)-1]
}

// Journal is what the journal has of a unit, systemd's own words about it included.
func (s *Instance) Journal(unit string) string {
	s.h.T().Helper()
	s.Run("journalctl", "--sync")
	return s.Run("journalctl", "--quiet", "--output=cat", "--unit", unit)
}

// JournalMark is the present end of the whole journal; WaitLog from there sees lines of all units,
//
//	Nov 21 10:07:01.123456 lvs-director[57]: level=INFO msg=directing
func (s *Instance) JournalMark() lab.LogMark { return s.journal.Mark() }

// path is a path of the host's tree, seen from the lab.
func (s *Instance) path(path string) string {
	return filepath.Join("/proc", strconv.Itoa(s.pid), "root", path)
}

// ReadFile reads a file of the host's tree; /proc has the host's own process numbers.
func (s *Instance) ReadFile(path string) string {
	s.h.T().Helper()
	content, err := os.ReadFile(s.path(path))
	if err != nil {
		s.h.T().Fatalf("lab: on %s: %v", s.h.Name, err)
	}
	return string(content)
}

// WriteFile replaces a file of the host's tree.
func (s *Instance) WriteFile(f File) {
	s.h.T().Helper()
	f.Path = s.path(f.Path)
	if err := f.write(); err != nil {
		s.h.T().Fatalf("lab: on %s: %v", s.h.Name, err)
	}
}

func (f File) write() error {
	if f.Mode == 0 {
		f.Mode = 0o644
	}
	if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(f.Path, []byte(f.Content), f.Mode); err != nil {
		return err
	}
	return os.Chmod(f.Path, f.Mode) // whatever the umask, and for a file that was there
}
