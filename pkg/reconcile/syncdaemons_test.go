package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// syncKernel are the synchronization daemons of a host, and those recorded.
type syncKernel struct {
	mu       sync.Mutex
	running  map[kernel.SyncRole]kernel.SyncDaemon
	recorded map[kernel.SyncRole]kernel.SyncDaemon
	done     []string
	fails    error
	hangs    bool // calls end with their context
}

func (k *syncKernel) answer(ctx context.Context) error {
	k.mu.Lock()
	hangs, fails := k.hangs, k.fails
	k.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	return fails
}

// change is a change by another program.
func (k *syncKernel) change(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f()
}

func (k *syncKernel) List(ctx context.Context) ([]kernel.SyncDaemon, error) {
	err := k.answer(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []kernel.SyncDaemon
	for _, d := range k.running {
		d.MaxLen = 1472
		all = append(all, d)
	}
	return all, err
}

func (k *syncKernel) Start(ctx context.Context, d kernel.SyncDaemon) error {
	if err := k.answer(ctx); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, runs := k.running[d.Role]; runs {
		return errors.New("runs already")
	}
	k.running[d.Role] = d
	k.done = append(k.done, fmt.Sprintf("start %s on %s", d.Role, d.Interface))
	return nil
}

func (k *syncKernel) Stop(ctx context.Context, role kernel.SyncRole) error {
	if err := k.answer(ctx); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.running, role)
	k.done = append(k.done, "stop "+string(role))
	return nil
}

func (k *syncKernel) SyncDaemons() []kernel.SyncDaemon {
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []kernel.SyncDaemon
	for _, d := range k.recorded {
		all = append(all, d)
	}
	return all
}

func (k *syncKernel) RecordSyncDaemon(d kernel.SyncDaemon) error {
	k.change(func() { k.recorded[d.Role] = d })
	return nil
}

func (k *syncKernel) ForgetSyncDaemon(role kernel.SyncRole) error {
	k.change(func() { delete(k.recorded, role) })
	return nil
}

func syncDaemon(role kernel.SyncRole, iface string) SyncDaemonWanted {
	return SyncDaemonWanted{Bound: "2", SyncDaemon: kernel.SyncDaemon{
		Role: role, Interface: iface, ID: 51, Group: netip.MustParseAddr("224.0.0.81"), Port: 8848, TTL: 1,
	}}
}

// syncWorld runs the loop for as long as f.
func syncWorld(t *testing.T, f func(k *syncKernel, s *SyncDaemons, history func() []string)) {
	synctest.Test(t, func(t *testing.T) {
		k := &syncKernel{running: map[kernel.SyncRole]kernel.SyncDaemon{}, recorded: map[kernel.SyncRole]kernel.SyncDaemon{}}
		s := NewSyncDaemons(SyncDaemonOptions{Kernel: k, Records: k, Saved: func(error) {}, Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Run(ctx) }()
		f(k, s, func() []string {
			time.Sleep(3 * syncDaemonsEvery)
			synctest.Wait()
			var done []string
			k.change(func() { done, k.done = k.done, nil })
			return done
		})
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestSyncDaemonsFollow: the daemons are those wanted, come back, and are bound anew when their interface is another one.
func TestSyncDaemonsFollow(t *testing.T) {
	syncWorld(t, func(k *syncKernel, s *SyncDaemons, history func() []string) {
		master, backup := syncDaemon(kernel.SyncMaster, "eth0"), syncDaemon(kernel.SyncBackup, "eth0")
		expect := func(when string, want ...string) {
			t.Helper()
			if diff := cmp.Diff(want, history()); diff != "" || len(s.Problems()) > 0 {
				t.Errorf("%s: %s %v", when, diff, s.Problems())
			}
		}
		expect("nothing is wanted")
		s.Set([]SyncDaemonWanted{backup})
		expect("backup", "start backup on eth0")
		s.Set([]SyncDaemonWanted{master})
		expect("becomes master", "start master on eth0", "stop backup")
		s.Set([]SyncDaemonWanted{master, backup})
		expect("both", "start backup on eth0")
		k.change(func() { delete(k.running, kernel.SyncBackup) })
		expect("stopped by somebody", "start backup on eth0")
		master.Bound = "3"
		s.Set([]SyncDaemonWanted{master, backup})
		expect("the interface was replaced", "stop master", "start master on eth0")
		backup.ID = 52
		s.Set([]SyncDaemonWanted{master, backup})
		expect("another id", "stop backup", "start backup on eth0")
		s.Set(nil)
		expect("none is wanted any more", "stop master", "stop backup")
		if len(k.recorded) != 0 {
			t.Errorf("still recorded: %v", k.recorded)
		}
	})
}

// TestForeignSyncDaemon: a daemon of another program is never stopped. It is used if it is as wanted, and is otherwise a
// problem that ends with it. One of an earlier run is ours.
func TestForeignSyncDaemon(t *testing.T) {
	syncWorld(t, func(k *syncKernel, s *SyncDaemons, history func() []string) {
		k.change(func() {
			k.running[kernel.SyncMaster] = syncDaemon(kernel.SyncMaster, "eth1").SyncDaemon
			k.running[kernel.SyncBackup] = syncDaemon(kernel.SyncBackup, "eth0").SyncDaemon
		})
		s.Set([]SyncDaemonWanted{syncDaemon(kernel.SyncMaster, "eth0"), syncDaemon(kernel.SyncBackup, "eth0")})
		if done := history(); len(done) != 0 {
			t.Errorf("%v", done)
		}
		found := s.Problems()
		if len(found) != 1 || found[0].Foreign == nil || found[0].Foreign.Interface != "eth1" || !strings.Contains(found[0].Text, "another program") {
			t.Errorf("%+v", found)
		}
		s.Set(nil)
		if done := history(); len(done) != 0 || len(s.Problems()) != 0 {
			t.Errorf("%v, %v", done, s.Problems())
		}
		k.change(func() { k.recorded[kernel.SyncMaster] = k.running[kernel.SyncMaster] }) // started by an earlier run
		s.Set([]SyncDaemonWanted{syncDaemon(kernel.SyncMaster, "eth0")})
		if done := history(); !slices.Equal(done, []string{"stop master", "start master on eth0"}) {
			t.Errorf("%v", done)
		}
	})
}

// TestSyncDaemonErrors: an error is a problem as long as it lasts, and a call that hangs ends.
func TestSyncDaemonErrors(t *testing.T) {
	syncWorld(t, func(k *syncKernel, s *SyncDaemons, history func() []string) {
		k.change(func() { k.fails = errors.New("there is no such interface") })
		s.Set([]SyncDaemonWanted{syncDaemon(kernel.SyncMaster, "eth0")})
		history()
		if found := s.Problems(); len(found) != 1 || found[0].Wanted.Role != kernel.SyncMaster || !strings.Contains(found[0].Text, "no such interface") {
			t.Errorf("%+v", found)
		}
		k.change(func() { k.fails, k.hangs = nil, true })
		time.Sleep(2 * syncDaemonsWithin)
		if found := s.Problems(); len(found) != 1 || !strings.Contains(found[0].Text, context.DeadlineExceeded.Error()) {
			t.Errorf("%+v", found)
		}
		k.change(func() { k.hangs = false })
		time.Sleep(2 * syncDaemonsWithin)
		if done := history(); !slices.Equal(done, []string{"start master on eth0"}) || len(s.Problems()) != 0 {
			t.Errorf("%v, %v", done, s.Problems())
		}
	})
}

// TestWithdrawSyncDaemons: what a run that was killed has started is stopped, and nothing else.
func TestWithdrawSyncDaemons(t *testing.T) {
	k := &syncKernel{running: map[kernel.SyncRole]kernel.SyncDaemon{}, recorded: map[kernel.SyncRole]kernel.SyncDaemon{}}
	s := NewSyncDaemons(SyncDaemonOptions{Kernel: k, Records: k, Saved: func(error) {}, Log: slog.New(slog.DiscardHandler)})
	k.running[kernel.SyncMaster] = syncDaemon(kernel.SyncMaster, "eth0").SyncDaemon
	k.running[kernel.SyncBackup] = syncDaemon(kernel.SyncBackup, "eth1").SyncDaemon
	k.recorded[kernel.SyncMaster] = syncDaemon(kernel.SyncMaster, "eth0").SyncDaemon
	if err := s.Withdraw(t.Context()); err != nil || !slices.Equal(k.done, []string{"stop master"}) || len(k.recorded) != 0 {
		t.Errorf("%v, %v, %v", err, k.done, k.recorded)
	}
}
