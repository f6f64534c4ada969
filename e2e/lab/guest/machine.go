package guest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// defaultBootLimit is how long a guest may take to send its first frame. Booting costs 1 s of CPU, a Stock kernel under
	// emulation 5 to 7 s; on a machine with a load of 20 a guest got less than 1 s of CPU in a minute.
	defaultBootLimit = 10 * time.Minute
	// powerOffLimit is how long a guest may take from exit code to power-off.
	powerOffLimit = 5 * time.Second
)

// machine is a running guest kernel and its guard, as seen from the host.
type machine struct {
	guard    *exec.Cmd
	lifeline *os.File // closing it ends the guest
	toGuest  *os.File
	events   *os.File
	console  *tail
	memory   string        // directory of the guest's memory
	exited   chan struct{} // closed when every process of the guest is gone
}

func startUML(ctx context.Context, o Options) (*machine, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	memoryDir, err := memoryDir(o.Memory)
	if err != nil {
		return nil, err
	}
	fromHost, toGuest, err1 := os.Pipe()
	events, toHost, err2 := os.Pipe()
	lifelineEnd, lifeline, err3 := os.Pipe()
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	m := &machine{
		lifeline: lifeline, toGuest: toGuest, events: events, memory: memoryDir,
		console: &tail{limit: 16 << 10}, exited: make(chan struct{}),
	}
	m.guard = exec.Command(o.Program, append([]string{o.Tree.Kernel()}, kernelArgs(o)...)...)
	m.guard.Env = []string{guardMarker + "=" + guardOneCPU, "TMPDIR=" + memoryDir, "HOME=" + memoryDir, "PATH=" + guestPath}
	m.guard.Env = append(m.guard.Env, "LD_PRELOAD="+strings.Join(o.Tree.Preload, ":"),
		fmt.Sprintf("LVS_LAB_SPEED=%d", o.Speed), fmt.Sprintf("LVS_LAB_HURRY=%d", o.Hurry))
	if o.hostClock {
		m.guard.Env = append(m.guard.Env, "LVS_LAB_CLOCK=machine")
	}
	return m, m.start(fromHost, toHost, lifelineEnd)
}

// start starts the guard with fdFromHost, fdToHost, fdLifeline and further files, and closes these three.
func (m *machine) start(fromHost, toHost, lifelineEnd *os.File, more ...*os.File) error {
	m.guard.Stdout, m.guard.Stderr = m.console, m.console
	m.guard.ExtraFiles = append([]*os.File{fromHost, toHost, lifelineEnd}, more...)
	// A separate process group, so that signals from the terminal reach only the runner.
	m.guard.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	m.guard.WaitDelay = time.Second
	err := m.guard.Start()
	for _, f := range []*os.File{fromHost, toHost, lifelineEnd} {
		f.Close()
	}
	if err != nil {
		close(m.exited)
		m.kill()
		return err
	}
	go func() {
		defer close(m.exited)
		_ = m.guard.Wait() // the guest sends its exit code in a frame
	}()
	return nil
}

func kernelArgs(o Options) []string {
	return []string{
		fmt.Sprintf("mem=%dM", o.Memory),
		"rootfstype=hostfs", "rootflags=/", "ro",
		"con=null", "con0=null,fd:1",
		"ssl=null", fmt.Sprintf("ssl0=fd:%d,fd:%d", fdFromHost, fdToHost),
		"quiet", "panic=-1", "uml_dir=/dev/null/",
		"init=" + o.Program, initMarker + "=1", lineMarker + "=/dev/ttyS0",
	}
}

// kill ends every process of the guest and closes the host's files for it. It may be called more than once, and
// concurrently.
func (m *machine) kill() {
	m.lifeline.Close()
	<-m.exited
	m.toGuest.Close()
	m.events.Close()
}

// serve sends the guest its spec and input and handles its frames, until it has powered off.
func (m *machine) serve(ctx context.Context, o Options, s spec) (int, error) {
	stop := context.AfterFunc(ctx, m.kill)
	defer stop()
	if o.Sizes != nil {
		select {
		case size := <-o.Sizes:
			s.Rows, s.Columns = size.Rows, size.Columns
		case <-ctx.Done():
		}
	}
	feed, err := newFeeder(m.toGuest, s)
	if err != nil {
		return 0, err
	}
	bootTimer := time.AfterFunc(o.bootLimit, m.kill)
	defer bootTimer.Stop()
	in := make(chan struct{}, 1)
	done := make(chan struct{})
	defer close(done)
	r := bufio.NewReader(m.events)
	for booted := false; ; booted = true {
		k, payload, err := readFrame(r)
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return 0, cause
			}
			if !booted && !bootTimer.Stop() {
				err = errBootLimit
			}
			m.awaitPowerOff(ctx) // for the guard's output
			return 0, m.diagnose(err)
		}
		bootTimer.Stop()
		switch k {
		case kindWant:
			err = feed.answer(o, in, done)
		case kindStdout:
			_, err = o.Stdout.Write(payload)
		case kindStderr:
			_, err = o.Stderr.Write(payload)
		case kindFailed:
			return 0, errors.New(string(payload))
		case kindExit:
			if len(payload) != 4 {
				return 0, m.diagnose(io.ErrUnexpectedEOF)
			}
			m.awaitPowerOff(ctx)
			return int(int32(binary.BigEndian.Uint32(payload))), nil
		default:
			return 0, m.diagnose(fmt.Errorf("unexpected frame %q", byte(k)))
		}
		if err != nil {
			return 0, err
		}
	}
}

func (m *machine) awaitPowerOff(ctx context.Context) {
	limit := time.NewTimer(powerOffLimit)
	defer limit.Stop()
	select {
	case <-m.exited:
	case <-limit.C:
	case <-ctx.Done():
	}
}

// diagnose kills the guest and returns an error with the reason why its connection failed and the end of its console
// output.
func (m *machine) diagnose(err error) error {
	m.kill()
	return ended(err, m.console.String(), m.memory)
}

// tail keeps the last limit bytes written to it.
type tail struct {
	mu    sync.Mutex
	limit int
	buf   bytes.Buffer
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(p)
	if over := t.buf.Len() - t.limit; over > 0 {
		t.buf.Next(over)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}
