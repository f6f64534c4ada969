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

// An Instance is the distribution's systemd, running as process 1 of a host: it has separate process, mount, cgroup,
// IPC and UTS namespaces and shares the host's network namespace. Its /etc, /var, /run, /tmp, /dev and /usr/local are
// new and contain little but what Options add; the rest of the tree is that of the machine. Of the distribution's units
// it has the targets, the journal, and systemd-modules-load.
type Instance struct {
	h       *lab.Host
	process *lab.Daemon
	journal *lab.Daemon
	pid     int // of process 1, in the lab's pid namespace
}

// Options are the files that the host has before its systemd starts.
type Options struct {
	// Programs maps paths on the host to files of this machine, which are mounted there read-only.
	Programs map[string]string
	// Files are created, with their parent directories.
	Files []File
}

// A File is a file on a host with systemd.
type File struct {
	Path    string // absolute, below /etc, /var, /run, /tmp or /usr/local
	Content string
	Mode    fs.FileMode // 0 = 0644
}

const (
	bootDeadline = time.Minute      // for a boot, which takes one or two seconds on an idle machine
	killDeadline = 15 * time.Second // for a process that is stuck in the kernel
	shownLines   = 40               // journal lines to show when systemctl fails
)

// Start boots a systemd on the host and waits until it has reached its target. Units are started with Systemctl. When
// the test ends, systemd and everything that it started is killed.
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

// stop does more than closing the network would: it lets the parent of process 1 remove the cgroups.
func (s *Instance) stop() {
	s.process.Signal(syscall.SIGTERM)
	select {
	case <-s.process.Exited():
	case <-time.After(killDeadline):
		s.h.T().Errorf("lab: systemd on %s is still running %s after it was killed", s.h.Name, killDeadline)
	}
}

// entering returns the command line that runs argv in systemd's namespaces.
func (s *Instance) entering(argv ...string) []string {
	return append([]string{"nsenter", "--target", strconv.Itoa(s.pid), "--mount", "--pid", "--cgroup", "--ipc", "--uts", "--"}, argv...)
}

// Run executes a command as root in systemd's namespaces, outside its units, and returns its standard output. It fails
// the test if the command fails or takes more than 30 s.
func (s *Instance) Run(argv ...string) string {
	s.h.T().Helper()
	return s.h.Run(s.entering(argv...)...)
}

// Try is Run for commands that may fail; see Host.Try.
func (s *Instance) Try(argv ...string) (string, error) { return s.h.Try(s.entering(argv...)...) }

// Systemctl runs systemctl(1) and returns its standard output. A failure fails the test and shows the end of the
// journal.
func (s *Instance) Systemctl(args ...string) string {
	s.h.T().Helper()
	out, err := s.Try(append([]string{"systemctl"}, args...)...)
	if err != nil {
		s.h.T().Fatalf("%v\n%s", err, s.journal.Tail(shownLines))
	}
	return out
}

// Property returns a property of a unit, as printed by `systemctl show`.
func (s *Instance) Property(unit, name string) string {
	s.h.T().Helper()
	return strings.TrimSpace(s.Systemctl("show", "--property", name, "--value", unit))
}

// MainPID returns the main process of a service as a pid in systemd's namespace, 0 if there is none.
func (s *Instance) MainPID(unit string) int {
	s.h.T().Helper()
	pid, err := strconv.Atoi(s.Property(unit, "MainPID"))
	if err != nil {
		s.h.T().Fatalf("lab: main process of %s on %s: %v", unit, s.h.Name, err)
	}
	return pid
}

// Kill sends a signal to a process, given by its pid in systemd's namespace. It does so immediately, without starting a
// program.
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

// outside returns the pid in the lab's namespace of the process with the given pid in systemd's namespace (proc(5),
// NSpid).
func (s *Instance) outside(pid int) (int, error) {
	namespace, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", s.pid))
	if err != nil {
		return 0, err
	}
	for _, candidate := range s.h.Processes() {
		if own, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", candidate)); err != nil || own != namespace {
			continue
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", candidate))
		if err != nil {
			continue // it has exited meanwhile
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

// Journal returns the journal of a unit, including systemd's messages about it.
func (s *Instance) Journal(unit string) string {
	s.h.T().Helper()
	s.Run("journalctl", "--sync")
	return s.Run("journalctl", "--quiet", "--output=cat", "--unit", unit)
}

// JournalMark returns the current end of the whole journal. WaitLog from this mark matches lines of all units, like
//
//	Nov 21 10:07:01.123456 lvs-director[57]: level=INFO msg=directing
func (s *Instance) JournalMark() lab.LogMark { return s.journal.Mark() }

// path returns the path in the lab's namespace of a file in systemd's file tree.
func (s *Instance) path(path string) string {
	return filepath.Join("/proc", strconv.Itoa(s.pid), "root", path)
}

// ReadFile reads a file in systemd's file tree; its /proc has the pids of systemd's namespace.
func (s *Instance) ReadFile(path string) string {
	s.h.T().Helper()
	content, err := os.ReadFile(s.path(path))
	if err != nil {
		s.h.T().Fatalf("lab: on %s: %v", s.h.Name, err)
	}
	return string(content)
}

// WriteFile writes a file in systemd's file tree.
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
	return os.Chmod(f.Path, f.Mode) // independent of the umask, and also for an existing file
}
