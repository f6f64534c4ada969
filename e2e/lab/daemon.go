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

// A Daemon is a background process on a host. Its standard output and standard error go to one log. It never outlives
// the network.
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

// StartOptions are the options of StartWith.
type StartOptions struct {
	Name  string   // name of the log; required
	Argv  []string // required
	Env   []string // added to the test's own environment
	Dir   string   // working directory; "" is the test's
	Stdin bool     // keep a pipe to its standard input, until CloseStdin
	Quiet bool     // leave its log out of the summary of a failed test
}

// Start runs a command on the host until it exits or the network is closed.
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

func (n *Network) launch(hostName string, ns *namespace, h *Host, o StartOptions) (*Daemon, error) {
	n.mu.Lock()
	sequence := len(n.daemons)
	n.mu.Unlock()
	path := fmt.Sprintf("%s/%02d-%s-%s.log", n.dir, sequence, hostName, strings.ReplaceAll(o.Name, "/", "_"))
	log, pipe, err := newRecord(path)
	if err != nil {
		return nil, err
	}
	defer pipe.Close()
	cmd := exec.Command(o.Argv[0], o.Argv[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = pipe, pipe, o.Dir
	cmd.Env = append(os.Environ(), o.Env...)
	// A separate process group, so that signals also reach the daemon's children and a Ctrl-C at the terminal reaches
	// only the test.
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

// CloseStdin closes the pipe to the daemon's standard input (StartOptions.Stdin). Without such a pipe, or when called
// again, it does nothing.
func (d *Daemon) CloseStdin() {
	if d.stdin != nil {
		_ = d.stdin.Close()
		d.stdin = nil
	}
}

// Exited returns a channel that is closed when the process has exited.
func (d *Daemon) Exited() <-chan struct{} { return d.exited }

// LogEnded returns a channel that is closed when the log is complete: the process and all its children that inherited
// the log have exited.
func (d *Daemon) LogEnded() <-chan struct{} { return d.log.done }

// PID returns the process id, also after the process has exited.
func (d *Daemon) PID() int { return d.cmd.Process.Pid }

// Running reports whether the process has not exited yet; true for a paused one.
func (d *Daemon) Running() bool {
	select {
	case <-d.exited:
		return false
	default:
		return true
	}
}

// Signal sends a signal to the daemon, not to its children.
func (d *Daemon) Signal(signal syscall.Signal) {
	if d.Running() {
		_ = d.cmd.Process.Signal(signal)
	}
}

// Stop sends SIGTERM, waits at most a minute for the daemon to exit, and returns the exit code.
func (d *Daemon) Stop() int {
	d.host.n.t.Helper()
	d.Resume()
	d.Signal(syscall.SIGTERM)
	return d.Wait(Slowest)
}

// Kill sends SIGKILL to the daemon and its children.
func (d *Daemon) Kill() {
	d.group(syscall.SIGKILL)
	select {
	case <-d.exited:
	case <-time.After(killDeadline):
	}
}

// Slowest is how long a program may take to become ready, or to exit, on an overloaded machine.
const Slowest = time.Minute

// killDeadline is how long Kill waits for a process that is stuck in the kernel.
const killDeadline = 15 * time.Second

// Pause stops the daemon and its children with SIGSTOP until Resume.
func (d *Daemon) Pause() {
	d.group(syscall.SIGSTOP)
	d.paused = true
}

// Resume undoes Pause.
func (d *Daemon) Resume() {
	if d.paused {
		d.group(syscall.SIGCONT)
		d.paused = false
	}
}

// group signals the process group, but only while its leader has not been reaped: after that the number may belong to
// an unrelated group.
func (d *Daemon) group(signal syscall.Signal) {
	if d.Running() {
		_ = syscall.Kill(-d.PID(), signal)
	}
}

// Wait waits for the process to exit and returns its exit code (128 plus the signal if a signal killed it). It fails
// the test after the timeout.
func (d *Daemon) Wait(timeout time.Duration) int {
	d.host.n.t.Helper()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-d.exited:
		d.drainLog()
		return exitCode(d.cmd.ProcessState)
	case <-timer.C:
		d.host.n.t.Fatalf("lab: %s is still running after %s\n%s", d, timeout, d.Tail(20))
		return -1
	}
}

// drainLog waits until the log has everything that the process wrote before it exited, for at most 1 s: a child that is
// still running may keep the log open.
func (d *Daemon) drainLog() {
	select {
	case <-d.log.done:
	case <-time.After(time.Second):
	}
}

// Log returns everything that the process has written so far.
func (d *Daemon) Log() string {
	lines, _, _ := d.log.after(0)
	return joined(lines)
}

// LogLines is Log with timestamps.
func (d *Daemon) LogLines() []LogLine {
	lines, _, _ := d.log.after(0)
	return append([]LogLine(nil), lines...)
}

// WaitLog waits for a log line that matches a regular expression and returns it. Lines that are already in the log
// count. It fails the test after the timeout, or at once when the process exits without having written such a line.
func (d *Daemon) WaitLog(pattern string, timeout time.Duration) LogLine {
	d.host.n.t.Helper()
	return LogMark{d: d}.WaitLog(pattern, timeout)
}

// A LogMark is a position in a daemon's log.
type LogMark struct {
	d     *Daemon
	index int
}

// Mark returns the current end of the log: WaitLog from this mark ignores what was written before.
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

// Find waits for a line after the mark that accept returns true for. Its error is "after 5s" (the timeout) or "and the
// process has ended".
func (m LogMark) Find(timeout time.Duration, accept func(LogLine) bool) (LogLine, error) {
	return m.d.log.wait(m.index, accept, timeout)
}

// Last is LogMark.Last for the whole log.
func (d *Daemon) Last(pattern string) LogLine { return LogMark{d: d}.Last(pattern) }

// Last returns the last line after the mark that matches a regular expression, or the zero LogLine.
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

// Log returns what was written after the mark.
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

// Tail returns the last count lines of the log.
func (d *Daemon) Tail(count int) string {
	lines, _, _ := d.log.after(0)
	return joined(lines[max(0, len(lines)-count):])
}

// end kills the daemon and closes its log.
func (d *Daemon) end() {
	d.Kill()
	d.CloseStdin()
	d.drainLog()
	d.log.abandon()
}
