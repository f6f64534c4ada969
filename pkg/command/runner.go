package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// termGrace is how long a program and its children have between SIGTERM and SIGKILL.
	termGrace = 50 * time.Millisecond
	// killGrace is how long Run waits for the end of a killed program before it leaves it behind.
	killGrace = 25 * time.Millisecond
	// outputKept is how much of the output is read, in bytes; the rest is discarded, so that the program never waits.
	outputKept = 4096
)

// Runner runs commands. It may be used by several goroutines. The zero value is ready for use; the program must call Main
// first.
type Runner struct {
	mu   sync.Mutex
	left map[string][]*run // runs that were killed and have not ended, by command
}

// run is one process.
type run struct {
	process *os.Process
	killed  time.Time
	ended   chan struct{} // closed when it has been reaped
	state   *os.ProcessState
}

// Run runs a command until ctx ends, then kills it with all processes of its session that have not left its process
// group: with SIGTERM, and after 50 ms with SIGKILL. It returns at most 0.1 s after the end of ctx. While a run of the
// same command has not ended, it does not start another.
func (r *Runner) Run(ctx context.Context, c Command) Outcome {
	key := c.key()
	if busy := r.busy(key); busy != "" {
		return Outcome{Busy: busy}
	}
	begun := time.Now()
	one, output, failure, err := start(c)
	if err != nil {
		return Outcome{Unrunnable: fmt.Sprintf("the daemon cannot start itself: %v", err), Took: time.Since(begun)}
	}
	var o Outcome
	select {
	case <-one.ended:
	case <-ctx.Done():
		o.TimedOut = true
		o.Took = time.Since(begun)
		if !one.kill() {
			r.leave(key, one)
			output.close()
			failure.close()
			return o
		}
	}
	if o.Took == 0 {
		o.Took = time.Since(begun)
	}
	o.Output = firstLine(output.text())
	if o.TimedOut {
		failure.close()
		return o
	}
	o.Unrunnable = failure.text()
	if w, ok := one.state.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		o.Signal = w.Signal().String()
	}
	o.Status = max(one.state.ExitCode(), 0)
	return o
}

// busy describes the run of a command that has not ended; "" if there is none.
func (r *Runner) busy(key string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.left[key]) == 0 {
		return ""
	}
	r.left[key] = slices.DeleteFunc(r.left[key], func(one *run) bool {
		select {
		case <-one.ended:
			return true
		default:
			return false
		}
	})
	if len(r.left[key]) == 0 {
		delete(r.left, key)
		return ""
	}
	one := r.left[key][0]
	return fmt.Sprintf("process %d of an earlier run does not end, although it was killed %s ago%s",
		one.process.Pid, round(time.Since(one.killed)), stateOf(one.process.Pid))
}

func (r *Runner) leave(key string, one *run) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left == nil {
		r.left = map[string][]*run{}
	}
	r.left[key] = append(r.left[key], one)
}

// key identifies a command: also by what its environment says of its subject, because a check of one server that cannot be killed says
// nothing about the same check of another one, but not by what differs from run to run.
func (c Command) key() string {
	c.Env = slices.DeleteFunc(slices.Clone(c.Env), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains([]string{"LVS_TIME", "LVS_REASON", "LVS_PREVIOUS_STATE", "LVS_PRIORITY"}, name)
	})
	return c.encode()
}

// encode is what the trampoline reads.
func (c Command) encode() string {
	b, _ := json.Marshal(c) // strings only: it cannot fail
	return string(b)
}

// start starts this program again, to become the command.
func start(c Command) (one *run, output, failure *reader, err error) {
	output, out, err := newReader(outputKept)
	if err != nil {
		return nil, nil, nil, err
	}
	failure, fail, err := newReader(outputKept)
	if err != nil {
		output.close()
		return nil, nil, nil, errors.Join(err, out.Close())
	}
	defer out.Close()
	defer fail.Close()
	null, err := os.Open(os.DevNull)
	if err == nil {
		defer null.Close()
		var p *os.Process
		p, err = os.StartProcess("/proc/self/exe", []string{trampoline, c.encode()}, &os.ProcAttr{
			Dir: "/", Env: []string{"GOGC=off", "GOMAXPROCS=1"}, Files: []*os.File{null, out, out, fail},
			Sys: &syscall.SysProcAttr{Setsid: true},
		})
		one = &run{process: p, ended: make(chan struct{})}
	}
	if err != nil {
		output.close()
		failure.close()
		return nil, nil, nil, err
	}
	go one.reap()
	return one, output, failure, nil
}

// reap waits for the end of the process, for ever if it does not end.
func (r *run) reap() {
	r.state, _ = r.process.Wait() // it is our child, and nobody else waits for it
	close(r.ended)
}

// kill ends the process and its children. It reports whether the process has ended.
func (r *run) kill() bool {
	r.killed = time.Now()
	for _, step := range []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{syscall.SIGTERM, termGrace}, {syscall.SIGKILL, killGrace}} {
		// The leader of the group is not reaped yet, or its group has other members, unless it ended just now: then there is
		// no such group, because a process ID is not used again that soon.
		_ = syscall.Kill(-r.process.Pid, step.signal)
		timer := time.NewTimer(step.wait)
		select {
		case <-r.ended:
			timer.Stop()
			_ = syscall.Kill(-r.process.Pid, syscall.SIGKILL) // children that ignore SIGTERM
			return true
		case <-timer.C:
		}
	}
	return false
}

// stateOf describes the state of a process that does not end: ", in state D (it waits for a device)".
func stateOf(pid int) string {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	switch {
	case strings.HasPrefix(rest, "D"):
		return ": it waits for a device or a network file system (state D)"
	case rest != "":
		return ": state " + rest[:1]
	}
	return ""
}

// reader reads from a pipe in the background, so that the writer never waits.
type reader struct {
	from *os.File
	keep int
	kept []byte
	done chan struct{} // closed when it reads no longer
}

// newReader returns a reader that keeps the first bytes, and the other end of its pipe.
func newReader(keep int) (*reader, *os.File, error) {
	from, to, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	r := &reader{from: from, keep: keep, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.kept, _ = io.ReadAll(io.LimitReader(from, int64(keep)))
		_, _ = io.Copy(io.Discard, from)
	}()
	return r, to, nil
}

// text ends the reading and returns what was written until now. It does not wait for the end of other writers: a
// background process of the command may keep its output open.
func (r *reader) text() string {
	r.abandon()
	raw, err := r.from.SyscallConn()
	if err == nil && len(r.kept) < r.keep {
		_ = raw.Control(func(fd uintptr) {
			b := make([]byte, r.keep-len(r.kept))
			if n, err := unix.Read(int(fd), b); err == nil { // it does not block
				r.kept = append(r.kept, b[:n]...)
			}
		})
	}
	_ = r.from.Close()
	return string(r.kept)
}

// abandon ends the reading.
func (r *reader) abandon() {
	_ = r.from.SetReadDeadline(time.Unix(1, 0))
	<-r.done
}

// close ends the reading and closes the pipe.
func (r *reader) close() {
	r.abandon()
	_ = r.from.Close()
}
