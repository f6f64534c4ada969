package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/logtest"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// netlinkErrors are errors that netlink calls can return.
var netlinkErrors = []error{
	syscall.EPERM, syscall.EACCES, syscall.ENOBUFS, syscall.ENOMEM, syscall.EINTR, syscall.EAGAIN, syscall.EBUSY, syscall.EEXIST,
	syscall.ENOENT, syscall.ESRCH, syscall.ENODEV, syscall.ENETDOWN, syscall.EADDRNOTAVAIL, syscall.EOPNOTSUPP, syscall.EINVAL,
	syscall.ETIMEDOUT, syscall.EMFILE, context.DeadlineExceeded, io.ErrUnexpectedEOF, net.ErrClosed,
}

// brokenTable fails as long as readErr or applyErr is set, and counts its calls.
type brokenTable struct {
	fakeTable
	state       sync.Mutex
	readErr     error
	applyErr    error
	tries       int
	alternating bool
}

func (b *brokenTable) breaks(read, apply error) {
	b.state.Lock()
	defer b.state.Unlock()
	b.readErr, b.applyErr = read, apply
}

func (b *brokenTable) asked(err error) error {
	b.state.Lock()
	defer b.state.Unlock()
	b.tries++
	if err != nil && b.alternating {
		return fmt.Errorf("%w (%d)", err, b.tries%3)
	}
	return err
}

func (b *brokenTable) Read(ctx context.Context) ([]lvs.Service, error) {
	b.state.Lock()
	err := b.readErr
	b.state.Unlock()
	if err = b.asked(err); err != nil {
		return nil, err
	}
	return b.fakeTable.Read(ctx)
}

// refusal is the error of ops that are refused while the others are executed.
type refusal []lvs.Op

func (r refusal) Error() string { return "refused" }

func (b *brokenTable) Apply(ctx context.Context, ops []lvs.Op) ([]lvs.Op, error) {
	b.state.Lock()
	err := b.applyErr
	b.state.Unlock()
	err = b.asked(err)
	var refused refusal
	if errors.As(err, &refused) {
		done, _ := b.fakeTable.Apply(ctx, slices.DeleteFunc(slices.Clone(ops), func(op lvs.Op) bool {
			return slices.ContainsFunc(refused, func(r lvs.Op) bool { return r.String() == op.String() })
		}))
		return done, err
	}
	if err != nil {
		return nil, err
	}
	return b.fakeTable.Apply(ctx, ops)
}

func (b *brokenTable) count() int {
	b.state.Lock()
	defer b.state.Unlock()
	return b.tries
}

// beating lets time pass, and fails if a loop goes longer without a heartbeat than heartbeat.Every.
func beating(t *testing.T, loops *heartbeat.Set, d time.Duration) {
	t.Helper()
	monitor := heartbeat.NewMonitor(loops)
	const look = heartbeat.Every / 10
	for range int(d / look) {
		for _, loop := range monitor.Look(look) {
			if loop.For > heartbeat.Every+look {
				t.Fatalf("%s: no heartbeat for %s", loop.Name, loop.For)
			}
		}
		time.Sleep(look)
		synctest.Wait()
	}
}

// startBroken runs a table loop on a kernel that may fail.
func startBroken(t *testing.T, kernel *brokenTable, want ...lvs.Service) (w *tableWorld, log *logtest.Buffer) {
	log = &logtest.Buffer{}
	return newTableWorld(t, kernel, &kernel.fakeTable, slog.New(slog.NewTextHandler(log, nil)), want...), log
}

// For every kernel error: attempts are few, the error is logged once, the loop continues, and it recovers when the
// error ends.
func TestTableOutlivesEveryError(t *testing.T) {
	for _, failure := range netlinkErrors {
		for _, where := range []string{"read", "apply"} {
			t.Run(fmt.Sprintf("%s %v", where, failure), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					kernel := &brokenTable{}
					w, log := startBroken(t, kernel, service("10.77.0.100"))
					time.Sleep(time.Second)
					if where == "read" {
						kernel.breaks(failure, nil)
					} else {
						kernel.breaks(nil, failure)
					}
					want := service("10.77.0.100", "10.77.0.11")
					kernel.put() // a change by another process, so that there is something to read and to write
					w.wants(want)
					before := kernel.count()
					beating(t, &w.loops, time.Minute)
					if tries := kernel.count() - before; tries < 10 || tries > 60 {
						t.Errorf("%d calls in a minute of failure, want 10 to 60", tries)
					}
					if logged := log.Count("level=ERROR"); logged != 1 {
						t.Errorf("%d error lines in a minute, want 1", logged)
					}
					if problem := w.Problem(); !strings.Contains(problem, failure.Error()) {
						t.Errorf("problem %q, want one that contains %q", problem, failure)
					}
					kernel.breaks(nil, nil)
					time.Sleep(tableRetryMax + time.Second)
					same(t, "table after the error ended", kernel.table(), []lvs.Service{want})
					if w.Problem() != "" || log.Count("in the desired state again") != 1 {
						t.Errorf("problem %q after the error ended; logged %d times", w.Problem(), log.Count("in the desired state again"))
					}
					w.stop()
				})
			})
		}
	}
}

// Verdicts that arrive all the time do not defeat the backoff, and alternating errors do not fill the log.
func TestErrorsAreBoundedWhileVerdictsKeepComing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kernel := &brokenTable{alternating: true}
		w, log := startBroken(t, kernel, service("10.77.0.100"))
		time.Sleep(time.Second)
		kernel.breaks(nil, errors.New("no buffer space"))
		before := kernel.count()
		w.wants(service("10.77.0.100", "10.77.0.11"))
		for range 12_000 {
			time.Sleep(5 * time.Millisecond)
			w.poke()
		}
		if tries := kernel.count() - before; tries > 600 {
			t.Errorf("%d calls in a minute, want at most 600: two every %s, and the audit", tries, settleFailing)
		}
		if logged := log.Count("level=ERROR"); logged > 3 {
			t.Errorf("%d log lines, want at most 3", logged)
		}
		w.stop()
	})
}

// A deleted virtual server is no longer ours, even if the kernel refused another op of the same pass.
func TestDeletedServiceIsForgottenAfterARefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kernel := &brokenTable{}
		kernel.put(service("10.77.0.100"), service("10.77.0.101"))
		w, _ := startBroken(t, kernel, service("10.77.0.100"), service("10.77.0.101"))
		time.Sleep(time.Second)
		if w.mu.Lock(); w.recorded == 0 {
			t.Error("adopted virtual servers are not recorded")
		}
		w.mu.Unlock()
		added := service("10.77.0.102")
		kernel.breaks(nil, refusal{{Kind: lvs.AddService, Service: added}})
		w.wants(service("10.77.0.100"), added)
		time.Sleep(10 * time.Millisecond)
		if _, forgotten := w.results(); len(forgotten) != 1 || forgotten[0] != service("10.77.0.101").Key {
			t.Errorf("forgotten: %v", forgotten)
		}
		w.stop()
	})
}

func TestLogOfALargePassIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var servers []string
		for i := range 1500 {
			servers = append(servers, fmt.Sprintf("10.78.%d.%d", i/200, i%200+1))
		}
		w, log := startBroken(t, &brokenTable{}, service("10.77.0.100", servers...))
		time.Sleep(time.Second)
		if n := log.Count("msg=table change="); n != reported {
			t.Errorf("%d lines, want %d", n, reported)
		}
		if log.Count(fmt.Sprintf("count=%d", 1501-reported)) != 1 {
			t.Errorf("the number of the other changes is not logged")
		}
		w.stop()
	})
}
