package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// T is what the lab needs of a test: *testing.T, *testing.B, or a program
// that shows a demonstration.
type T interface {
	Helper()
	Name() string
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Failed() bool
	Cleanup(func())
}

// A Network is one world of switches and hosts, apart from every other one:
// scenarios may run in parallel and use the same addresses. Its methods fail
// the test instead of returning errors, and are for the test's goroutine.
type Network struct {
	t     T
	dir   string // logs, sockets and data while the scenario runs
	wires *namespace
	guard *guard

	mu      sync.Mutex
	hosts   []*Host
	bridges []*Bridge
	daemons []*Daemon
	ports   int
}

// New makes an empty network. When the test ends, every process in it is
// killed and everything vanishes; a failed test first prints and keeps the
// logs, the tables of every host and a capture of every switch (see
// OutDir).
func New(t T) *Network {
	t.Helper()
	Planned(t)
	if os.Geteuid() != 0 {
		t.Fatalf("lab: scenarios need root in a kernel of their own: run them with `make test`")
	}
	dir, err := os.MkdirTemp("", "lab-")
	if err != nil {
		t.Fatalf("lab: %v", err)
	}
	n := &Network{t: t, dir: dir}
	n.guard, err = newGuard(dir)
	if err == nil {
		n.wires, err = n.namespace("switch")
	}
	if err != nil {
		n.guard.dismiss()
		_ = os.RemoveAll(dir)
		t.Fatalf("lab: %v", err)
	}
	t.Cleanup(n.close)
	return n
}

func (n *Network) namespace(hostname string) (*namespace, error) {
	ns, err := newNamespace(hostname)
	if err != nil {
		return nil, err
	}
	if err := n.guard.watch(ns); err != nil {
		ns.close()
		return nil, err
	}
	return ns, nil
}

// Dir is a directory for the files of this network (cluster files, sockets,
// state), short enough for unix sockets; it is removed with the network.
func (n *Network) Dir() string { return n.dir }

// File writes a file into Dir, mode 0600 so that it may be a secret, and
// returns its path.
func (n *Network) File(name, content string) string {
	n.t.Helper()
	path := filepath.Join(n.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		n.t.Fatalf("lab: %v", err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		n.t.Fatalf("lab: %v", err)
	}
	return path
}

// close is the one way out: evidence first, then the processes, then the
// namespaces.
func (n *Network) close() {
	if n.t.Failed() {
		n.keepEvidence()
	}
	for _, d := range n.daemons {
		d.group(syscall.SIGKILL)
	}
	for _, h := range n.hosts {
		h.killStrays()
	}
	for _, d := range n.daemons {
		d.end()
	}
	for _, h := range n.hosts {
		h.ns.close()
	}
	n.wires.close()
	n.guard.dismiss()
	if err := os.RemoveAll(n.dir); err != nil {
		n.t.Logf("lab: %v", err)
	}
}

// killStrays ends the processes that left their daemon's group or survived
// its leader. Everything in the host's network namespace is the lab's own.
func (h *Host) killStrays() {
	_ = Poll(5*time.Second, func() error {
		strays := h.ns.processes()
		for _, pid := range strays {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		if len(strays) > 0 {
			return fmt.Errorf("%d processes are left", len(strays))
		}
		return nil
	})
}

// batch runs several lines of ip(8) at once: one process instead of many,
// which counts in a kernel whose system calls are slow.
func (n *Network) batch(ns *namespace, lines ...string) {
	n.t.Helper()
	if _, err := execute(ns, strings.Join(lines, "\n")+"\n", "ip", "-batch", "-"); err != nil {
		n.t.Fatalf("lab: %v\n%s", err, strings.Join(lines, "\n"))
	}
}

// Eventually calls check every 20 ms, or twice as long as a check takes, until it returns nil. It fails the test
// with the last error when that takes longer than timeout. Prefer a wait for an event (Daemon.WaitLog, Capture.Wait)
// where there is one.
func Eventually(t T, timeout time.Duration, check func() error) {
	t.Helper()
	if err := Poll(timeout, check); err != nil {
		t.Fatalf("after %s: %v", timeout, err)
	}
}

// Steadily calls check as often as Eventually does and fails the test if it returns an error
// within the time: for what must stay true.
func Steadily(t T, during time.Duration, check func() error) {
	t.Helper()
	start := time.Now()
	for {
		pause := rest()
		if err := check(); err != nil {
			t.Fatalf("after %s of %s: %v", time.Since(start).Round(time.Millisecond), during, err)
		}
		if time.Since(start) > during {
			return
		}
		pause()
	}
}

// rest returns the pause to make after what begins now. To start a program costs the guest's only CPU some 10 ms: whoever
// looks all the time keeps those waiting whom it is looking at.
func rest() (pause func()) {
	const least, most = 20 * time.Millisecond, 200 * time.Millisecond
	begun := time.Now()
	return func() { time.Sleep(min(most, max(least, 2*time.Since(begun)))) }
}

// Poll is Eventually without a test: it returns the last error.
func Poll(timeout time.Duration, check func() error) error {
	for deadline := time.Now().Add(timeout); ; {
		last, pause := time.Now().After(deadline), rest()
		if err := check(); err == nil || last {
			return err
		}
		pause()
	}
}

// withDeadline is the context of one stock tool's run.
func withDeadline() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), toolDeadline)
}

// toolDeadline bounds one run of ip, ipvsadm, tc and the like. A busy guest
// needs half a second for one; half a minute means it hangs.
const toolDeadline = 30 * time.Second

func quoted(argv []string) string { return fmt.Sprintf("`%s`", strings.Join(argv, " ")) }
