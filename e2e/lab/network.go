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

// T is what the lab needs of a test: *testing.T, *testing.B, or the demo.
type T interface {
	Helper()
	Name() string
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Failed() bool
	Cleanup(func())
}

// A Network is a set of switches and hosts, isolated from every other Network: scenarios may run in parallel and use
// the same addresses. Its methods fail the test instead of returning errors, and must be called from the test's
// goroutine.
type Network struct {
	t        T
	dir      string // logs, sockets and data while the scenario runs
	switchNS *namespace
	guard    *guard

	mu      sync.Mutex
	hosts   []*Host
	bridges []*Bridge
	daemons []*Daemon
	ports   int
}

// New creates an empty network. When the test ends, every process in it is killed and everything is removed; before
// that, a failed test keeps the logs, the tables of every host and a capture of every switch in OutDir, or prints a
// summary if there is no OutDir.
func New(t T) *Network {
	t.Helper()
	EndIfPlanning(t)
	if os.Geteuid() != 0 {
		t.Fatalf("lab: scenarios need root in a separate kernel: run them with `make test`")
	}
	dir, err := os.MkdirTemp("", "lab-")
	if err != nil {
		t.Fatalf("lab: %v", err)
	}
	n := &Network{t: t, dir: dir}
	n.guard, err = newGuard(dir)
	if err == nil {
		n.switchNS, err = n.namespace("switch")
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

// Dir returns a directory for the files of this network (cluster files, sockets, state). Its path is short enough for
// unix sockets. It is removed with the network.
func (n *Network) Dir() string { return n.dir }

// File writes a file into Dir and returns its path. The mode is 0600, so that the file may hold a secret.
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

// close keeps the evidence, then ends the processes, then the namespaces.
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
	n.switchNS.close()
	n.guard.dismiss()
	if err := os.RemoveAll(n.dir); err != nil {
		n.t.Logf("lab: %v", err)
	}
}

// killStrays kills the processes that left their daemon's process group or outlived its leader. Every process in the
// host's network namespace belongs to the lab.
func (h *Host) killStrays() {
	_ = Poll(5*time.Second, func() error {
		strays := h.ns.processes()
		for _, pid := range strays {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		if len(strays) > 0 {
			return fmt.Errorf("%d processes are still running", len(strays))
		}
		return nil
	})
}

// batch runs several ip(8) commands in one process, which matters in a kernel with slow system calls.
func (n *Network) batch(ns *namespace, lines ...string) {
	n.t.Helper()
	if _, err := execute(ns, strings.Join(lines, "\n")+"\n", "ip", "-batch", "-"); err != nil {
		n.t.Fatalf("lab: %v\n%s", err, strings.Join(lines, "\n"))
	}
}

// Eventually calls check until it returns nil, with a pause of twice the check's duration (20 to 200 ms) in between. It
// fails the test with the last error after the timeout. If there is an event to wait for, prefer that (Daemon.WaitLog,
// Capture.Wait).
func Eventually(t T, timeout time.Duration, check func() error) {
	t.Helper()
	if err := Poll(timeout, check); err != nil {
		t.Fatalf("after %s: %v", timeout, err)
	}
}

// Consistently calls check as often as Eventually does, for the given time, and fails the test if it ever returns an error:
// for what must stay true.
func Consistently(t T, during time.Duration, check func() error) {
	t.Helper()
	start := time.Now()
	for {
		pause := pauseAfter()
		if err := check(); err != nil {
			t.Fatalf("after %s of %s: %v", time.Since(start).Round(time.Millisecond), during, err)
		}
		if time.Since(start) > during {
			return
		}
		pause()
	}
}

// pauseAfter is called before a check and returns the pause to make after it. Starting a program costs the guest's only
// CPU about 10 ms, so polling without a pause would slow down the programs under test.
func pauseAfter() (pause func()) {
	const least, most = 20 * time.Millisecond, 200 * time.Millisecond
	begun := time.Now()
	return func() { time.Sleep(min(most, max(least, 2*time.Since(begun)))) }
}

// Poll is Eventually without a test: it returns the last error.
func Poll(timeout time.Duration, check func() error) error {
	for deadline := time.Now().Add(timeout); ; {
		last, pause := time.Now().After(deadline), pauseAfter()
		if err := check(); err == nil || last {
			return err
		}
		pause()
	}
}

// withDeadline returns the context for one run of a stock tool.
func withDeadline() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), toolDeadline)
}

// toolDeadline limits one run of ip, ipvsadm, tc and the like. A run takes 0.5 s in a busy guest; after 30 s it hangs.
const toolDeadline = 30 * time.Second

func quoted(argv []string) string { return fmt.Sprintf("`%s`", strings.Join(argv, " ")) }
