package lab

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// A Daemon is a process that runs on a host beside the test. Its standard
// output and error are one log. Whatever the test does, the process is gone
// when the network is.
type Daemon struct {
	Name string

	host   *Host
	cmd    *exec.Cmd
	stdin  *os.File
	log    *record
	exited chan struct{}
	paused bool
	quiet  bool
}

// StartOptions are the rarer wishes about a daemon.
type StartOptions struct {
	Name  string   // of the log; required
	Argv  []string // required
	Env   []string // added to the test's own environment
	Dir   string   // working directory; "" is the test's
	Stdin bool     // keep a pipe to its standard input, until CloseStdin
	Quiet bool     // of no interest in a failed test
}

// Start runs a command on the host until it ends or the network does.
func (h *Host) Start(name string, argv ...string) *Daemon {
	h.n.t.Helper()
	return h.StartWith(StartOptions{Name: name, Argv: argv})
}

// StartWith is Start with options.
func (h *Host) StartWith(o StartOptions) *Daemon {
	h.n.t.Helper()
	d, err := h.launch(o)
	if err != nil {
		h.n.t.Fatalf("lab: start %s on %s: %v", o.Name, h.Name, err)
	}
	return d
}

func (h *Host) launch(o StartOptions) (*Daemon, error) {
	return h.n.launch(h.Name, h.ns, h, o)
}

func (n *Network) launch(place string, ns *namespace, h *Host, o StartOptions) (*Daemon, error) {
	n.mu.Lock()
	sequence := len(n.daemons)
	n.mu.Unlock()
	path := fmt.Sprintf("%s/%02d-%s-%s.log", n.dir, sequence, place, strings.ReplaceAll(o.Name, "/", "_"))
	log, pipe, err := newRecord(path)
	if err != nil {
		return nil, err
	}
	defer pipe.Close()
	cmd := exec.Command(o.Argv[0], o.Argv[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = pipe, pipe, o.Dir
	cmd.Env = append(os.Environ(), o.Env...)
	// A group of its own: signals reach the daemon's children too, and a
	// Ctrl-C at the terminal reaches only the test.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	d := &Daemon{Name: o.Name, host: h, cmd: cmd, log: log, quiet: o.Quiet, exited: make(chan struct{})}
	if o.Stdin {
		read, write, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		defer read.Close()
		cmd.Stdin, d.stdin = read, write
	}
	go log.collect()
	if err := ns.do(cmd.Start); err != nil {
		_ = pipe.Close()
		log.abandon()
		return nil, err
	}
	go func() {
		_ = cmd.Wait()
		close(d.exited)
	}()
	n.mu.Lock()
	n.daemons = append(n.daemons, d)
	n.mu.Unlock()
	return d, nil
}

// CloseStdin ends the standard input of a daemon that has a pipe to it
// (StartOptions.Stdin). For another one, and a second time, it does nothing.
func (d *Daemon) CloseStdin() {
	if d.stdin != nil {
		_ = d.stdin.Close()
		d.stdin = nil
	}
}

// Exited is closed when the process has ended.
func (d *Daemon) Exited() <-chan struct{} { return d.exited }

// LogEnded is closed when nobody can write to the log any more: the process
// has ended and so have those that it started.
func (d *Daemon) LogEnded() <-chan struct{} { return d.log.done }

// PID is the process id, also after its end.
func (d *Daemon) PID() int { return d.cmd.Process.Pid }

// Running says whether the process has not ended (a paused one runs).
func (d *Daemon) Running() bool {
	select {
	case <-d.exited:
		return false
	default:
		return true
	}
}

// Signal sends a signal to the daemon alone.
func (d *Daemon) Signal(signal syscall.Signal) {
	if d.Running() {
		_ = d.cmd.Process.Signal(signal)
	}
}

// Stop asks for a graceful end by SIGTERM, waits for it at most a minute, and
// returns the exit code.
func (d *Daemon) Stop() int {
	d.host.n.t.Helper()
	d.Resume()
	d.Signal(syscall.SIGTERM)
	return d.Wait(Slowest)
}

// Kill ends the daemon and its children at once, as `kill -9` does.
func (d *Daemon) Kill() {
	d.group(syscall.SIGKILL)
	select {
	case <-d.exited:
	case <-time.After(killDeadline):
	}
}

// Slowest is what a program may take to say that it is ready, or to end, on a
// machine that has no CPU for it.
const Slowest = time.Minute

// killDeadline is for a process that the kernel does not let go.
const killDeadline = 15 * time.Second

// Pause freezes the daemon and its children by SIGSTOP, until Resume.
func (d *Daemon) Pause() {
	d.group(syscall.SIGSTOP)
	d.paused = true
}

// Resume is the end of Pause.
func (d *Daemon) Resume() {
	if d.paused {
		d.group(syscall.SIGCONT)
		d.paused = false
	}
}

// group signals the process group. The group is only ours while its leader
// has not been reaped, or else the number may belong to somebody else.
func (d *Daemon) group(signal syscall.Signal) {
	if d.Running() {
		_ = syscall.Kill(-d.PID(), signal)
	}
}

// Wait returns the exit code (128 plus the signal for a killed one) and fails
// the test if the process still runs after the timeout.
func (d *Daemon) Wait(timeout time.Duration) int {
	d.host.n.t.Helper()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-d.exited:
		d.lastWords()
		return exitCode(d.cmd.ProcessState)
	case <-timer.C:
		d.host.n.t.Fatalf("lab: %s still runs after %s\n%s", d, timeout, d.Tail(20))
		return -1
	}
}

// lastWords waits until the log has what the process wrote before it ended. A child that lives on may keep it open.
func (d *Daemon) lastWords() {
	select {
	case <-d.log.done:
	case <-time.After(time.Second):
	}
}

// Log is everything that the process has written so far.
func (d *Daemon) Log() string {
	lines, _, _ := d.log.after(0)
	return joined(lines)
}

// LogLines is Log with the times.
func (d *Daemon) LogLines() []LogLine {
	lines, _, _ := d.log.after(0)
	return append([]LogLine(nil), lines...)
}

// WaitLog waits for a line that matches a regular expression, from the very
// first line on, and returns it. It fails the test after the timeout, and at
// once when the process ends without such a line.
func (d *Daemon) WaitLog(pattern string, timeout time.Duration) LogLine {
	d.host.n.t.Helper()
	return LogMark{d: d}.WaitLog(pattern, timeout)
}

// A LogMark is a place in a daemon's log.
type LogMark struct {
	d     *Daemon
	index int
}

// Mark is the present end of the log: a WaitLog from here ignores what was
// written before.
func (d *Daemon) Mark() LogMark { return LogMark{d: d, index: d.log.length()} }

// WaitLog is Daemon.WaitLog for the lines after the mark.
func (m LogMark) WaitLog(pattern string, timeout time.Duration) LogLine {
	m.d.host.n.t.Helper()
	expression := regexp.MustCompile(pattern)
	line, err := m.Find(timeout, func(line LogLine) bool { return expression.MatchString(line.Text) })
	if err != nil {
		m.d.host.n.t.Fatalf("log of %s: no line matches %q %v\n%s", m.d, pattern, err, m.d.Tail(30))
	}
	return line
}

// Find waits for a line after the mark that is accepted, and returns it. Its
// errors say when it gave up: "after 5s", or "and the process has ended".
func (m LogMark) Find(timeout time.Duration, accept func(LogLine) bool) (LogLine, error) {
	return m.d.log.wait(m.index, accept, timeout)
}

// Last is LogMark.Last for the whole log.
func (d *Daemon) Last(pattern string) LogLine { return LogMark{d: d}.Last(pattern) }

// Last is the last line after the mark that matches a regular expression; a zero one if there is none.
func (m LogMark) Last(pattern string) (last LogLine) {
	expression := regexp.MustCompile(pattern)
	lines, _, _ := m.d.log.after(m.index)
	for _, line := range lines {
		if expression.MatchString(line.Text) {
			last = line
		}
	}
	return last
}

// Log is what was written after the mark.
func (m LogMark) Log() string {
	lines, _, _ := m.d.log.after(m.index)
	return joined(lines)
}

func (d *Daemon) String() string {
	if d.host == nil {
		return d.Name
	}
	return fmt.Sprintf("%s on %s", d.Name, d.host.Name)
}

// Tail is the end of the log, that many lines.
func (d *Daemon) Tail(count int) string {
	lines, _, _ := d.log.after(0)
	return joined(lines[max(0, len(lines)-count):])
}

// end kills the daemon for good and closes its record.
func (d *Daemon) end() {
	d.Kill()
	d.CloseStdin()
	d.lastWords()
	d.log.abandon()
}
