package lab

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A Systemd is a real systemd, the one of the distribution, that runs as the first process of a host: it has process,
// mount, cgroup, IPC and UTS namespaces of its own in the host's network namespace. Its /etc, /var, /run, /tmp, /dev and
// /usr/local begin empty but for what SystemdOptions put there; the rest of the tree is that of the machine. Of the
// distribution's units it has the targets, the journal, and systemd-modules-load.
type Systemd struct {
	h       *Host
	process *Daemon
	journal *Daemon
	pid     int // of the first process, as the lab sees it
}

// SystemdOptions is what is on the host before its systemd starts.
type SystemdOptions struct {
	// Programs are files of this machine by the path at which the host sees them, read-only.
	Programs map[string]string
	// Files are written, with the directories they are in.
	Files []SystemdFile
}

// A SystemdFile is a file on a host with systemd.
type SystemdFile struct {
	Path    string // absolute, below /etc, /var, /run, /tmp or /usr/local
	Content string
	Mode    fs.FileMode // 0 = 0644
}

const systemdDeadline = time.Minute // of a boot that takes one or two seconds on a quiet machine

// StartSystemd boots a systemd on the host and waits until its target is reached. Units are started by Systemctl. When
// the test ends it is killed with everything that it started.
func StartSystemd(h *Host, o SystemdOptions) *Systemd {
	h.n.t.Helper()
	encoded, err := json.Marshal(systemdArguments{SystemdOptions: o, Hostname: h.Name})
	if err != nil {
		h.n.t.Fatalf("lab: systemd on %s: %v", h.Name, err)
	}
	self, err := os.Executable()
	if err != nil {
		h.n.t.Fatalf("lab: systemd on %s: %v", h.Name, err)
	}
	s := &Systemd{h: h}
	s.process = h.StartWith(StartOptions{
		Name: "systemd", Argv: []string{self},
		Env: []string{roleVariable + "=systemd", argumentsVariable + "=" + string(encoded)},
	})
	h.n.t.Cleanup(s.stop)
	line := s.process.WaitLog(`^`+systemdReady+` \d+$`, systemdDeadline)
	s.pid, err = strconv.Atoi(strings.TrimPrefix(line.Text, systemdReady+" "))
	if err != nil {
		h.n.t.Fatalf("lab: systemd on %s: %v", h.Name, err)
	}
	s.journal = h.Start("journal", s.entering("journalctl", "--follow", "--lines=all", "--quiet", "--output=short-precise", "--no-hostname")...)
	return s
}

// stop is more than the end of the network would do: it lets the first process's parent remove the cgroups.
func (s *Systemd) stop() {
	s.process.Signal(syscall.SIGTERM)
	select {
	case <-s.process.exited:
	case <-time.After(killDeadline):
		s.h.n.t.Errorf("lab: systemd on %s still runs %s after it was killed", s.h.Name, killDeadline)
	}
}

// entering is the command line that runs another one among systemd's processes.
func (s *Systemd) entering(argv ...string) []string {
	return append([]string{"nsenter", "--target", strconv.Itoa(s.pid), "--mount", "--pid", "--cgroup", "--ipc", "--uts", "--"}, argv...)
}

// Run executes a command beside the units, as a login of root would, and returns its standard output. A failure, or
// more than 30 s, fails the test.
func (s *Systemd) Run(argv ...string) string {
	s.h.n.t.Helper()
	return s.h.Run(s.entering(argv...)...)
}

// Try is Run for commands that may fail, as Host.Try is.
func (s *Systemd) Try(argv ...string) (string, error) { return s.h.Try(s.entering(argv...)...) }

// Systemctl runs systemctl(1) and returns its standard output. A failure fails the test and shows the journal of the
// units that are named.
func (s *Systemd) Systemctl(args ...string) string {
	s.h.n.t.Helper()
	out, err := s.Try(append([]string{"systemctl"}, args...)...)
	if err != nil {
		s.h.n.t.Fatalf("%v\n%s", err, s.journal.tail(printedTail))
	}
	return out
}

// Property is a property of a unit, as `systemctl show` prints it.
func (s *Systemd) Property(unit, name string) string {
	s.h.n.t.Helper()
	return strings.TrimSpace(s.Systemctl("show", "--property", name, "--value", unit))
}

// MainPID is the main process of a service, in the host's own numbers; 0 when it has none.
func (s *Systemd) MainPID(unit string) int {
	s.h.n.t.Helper()
	pid, err := strconv.Atoi(s.Property(unit, "MainPID"))
	if err != nil {
		s.h.n.t.Fatalf("lab: main process of %s on %s: %v", unit, s.h.Name, err)
	}
	return pid
}

// Kill sends a signal to a process, given in the host's own numbers, at once: no program is started for it.
func (s *Systemd) Kill(pid int, signal syscall.Signal) {
	s.h.n.t.Helper()
	outer, err := s.outside(pid)
	if err == nil {
		err = syscall.Kill(outer, signal)
	}
	if err != nil {
		s.h.n.t.Fatalf("lab: send %s to process %d on %s: %v", signal, pid, s.h.Name, err)
	}
}

// outside is the lab's number of a process: the one whose number in systemd's process namespace is pid (proc(5), NSpid).
func (s *Systemd) outside(pid int) (int, error) {
	space, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", s.pid))
	if err != nil {
		return 0, err
	}
	for _, candidate := range s.h.ns.processes() {
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
func (s *Systemd) Journal(unit string) string {
	s.h.n.t.Helper()
	s.Run("journalctl", "--sync")
	return s.Run("journalctl", "--quiet", "--output=cat", "--unit", unit)
}

// JournalMark is the present end of the whole journal; WaitLog from there sees lines of all units,
//
//	Nov 21 10:07:01.123456 lvs-director[57]: level=INFO msg=directing
func (s *Systemd) JournalMark() LogMark { return s.journal.Mark() }

// path is a path of the host's tree, seen from the lab.
func (s *Systemd) path(path string) string {
	return filepath.Join("/proc", strconv.Itoa(s.pid), "root", path)
}

// ReadFile reads a file of the host's tree; /proc has the host's own process numbers.
func (s *Systemd) ReadFile(path string) string {
	s.h.n.t.Helper()
	content, err := os.ReadFile(s.path(path))
	if err != nil {
		s.h.n.t.Fatalf("lab: on %s: %v", s.h.Name, err)
	}
	return string(content)
}

// WriteFile replaces a file of the host's tree.
func (s *Systemd) WriteFile(f SystemdFile) {
	s.h.n.t.Helper()
	f.Path = s.path(f.Path)
	if err := f.write(); err != nil {
		s.h.n.t.Fatalf("lab: on %s: %v", s.h.Name, err)
	}
}

func (f SystemdFile) write() error {
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
