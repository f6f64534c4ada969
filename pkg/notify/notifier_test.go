package notify

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/hook"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// runner records what runs, and how long that takes.
type runner struct {
	mu      sync.Mutex
	takes   time.Duration
	fails   int // so many runs fail
	hangs   bool
	useless bool // a try fails
	tried   []string
	hanging map[string]bool // these programs hang
	ran     []string
	events  []event.Event
	most    int // runs at the same time
	now     int
}

func (r *runner) run(ctx context.Context, j Job) Result {
	r.mu.Lock()
	if j.Try {
		defer r.mu.Unlock()
		r.tried = append(r.tried, j.Hook.Label())
		return Result{OK: !r.useless, Text: "no such file"}
	}
	r.now++
	r.most = max(r.most, r.now)
	takes := r.takes
	if r.hangs || r.hanging[j.Hook.Label()] {
		takes = time.Hour
	}
	r.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now--
	r.ran = append(r.ran, fmt.Sprintf("%s %s %s", j.Subject.Name, j.Change.Moment, j.Hook.Label()))
	if ctx.Err() != nil {
		return Result{Text: "killed"}
	}
	if r.fails > 0 {
		r.fails--
		return Result{Text: "exit status 1"}
	}
	return Result{OK: true, Text: "exit status 0"}
}

// set changes the runner while hooks may run.
func (r *runner) set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}

func (r *runner) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	ran := r.ran
	r.ran = nil
	return ran
}

func (r *runner) recorded() []event.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

func hookFor(program string, on ...hook.Moment) config.Hook {
	return config.Hook{On: hook.Of(on...), Argv: config.ArgvOf(program), Timeout: 30 * time.Second, RetryDelay: time.Second}
}

func subject(name string, priority uint8, hooks ...config.Hook) Subject {
	return Subject{Type: Instance, Name: name, Instance: new(config.Instance), Params: vrrp.Params{Priority: priority}, Hooks: hooks}
}

func to(from, state string) func(Subject) hook.Change {
	return func(s Subject) hook.Change {
		return hook.Change{Moment: hook.OfState(state), From: from, To: state, Priority: s.Params.Priority, At: time.Now()}
	}
}

// notifying runs a test with a notifier, which ends after it.
func notifying(t *testing.T, test func(t *testing.T, n *Notifier, r *runner)) {
	synctest.Test(t, func(t *testing.T) {
		r := &runner{takes: 10 * time.Millisecond}
		n := New(Options{
			Run: r.run,
			Record: func(e event.Event) {
				r.mu.Lock()
				defer r.mu.Unlock()
				r.events = append(r.events, e)
			},
			Changed: func() {},
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- n.Run(ctx) }()
		<-n.Ready()
		test(t, n, r)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		r.set(func() {
			if r.now > 0 {
				t.Errorf("%d hooks still run", r.now)
			}
		})
	})
}

func want(t *testing.T, got []string, lines ...string) {
	t.Helper()
	if !slices.Equal(got, lines) {
		t.Errorf("ran %q, want %q", got, lines)
	}
}

// The hooks of one instance run one after the other, in their order; those of two at the same time.
func TestRuns(t *testing.T) {
	notifying(t, func(t *testing.T, n *Notifier, r *runner) {
		n.Set(map[ID]Subject{
			"1": subject("a", 100, hookFor("/own", hook.Master), hookFor("/all", hook.Any)),
			"2": subject("b", 100, hookFor("/all", hook.Any)),
		})
		n.Tell("1", to("BACKUP", "MASTER"))
		synctest.Wait()
		time.Sleep(15 * time.Millisecond)
		n.Tell("2", to("BACKUP", "MASTER"))
		n.Tell("3", to("BACKUP", "MASTER"))
		time.Sleep(time.Second)
		want(t, r.take(), "a master /own", "a master /all", "b master /all")
		r.set(func() {
			if r.most != 2 {
				t.Errorf("%d at a time, want 2: one of each instance", r.most)
			}
		})
		e := r.recorded()[0]
		if e.Kind != event.HookEnded || e.Subject != "a" || e.To != event.HookOK || e.Code != "master" || e.Reason != "/own: exit status 0" {
			t.Errorf("%+v", e)
		}
		n.Tell("1", to("MASTER", "INIT"))
		n.Set(nil) // the hooks of an instance that has been removed still run for its end
		time.Sleep(time.Second)
		want(t, r.take(), "a stop /all")
		n.mu.Lock()
		defer n.mu.Unlock()
		if len(n.lines) != 0 {
			t.Errorf("%d lines remain", len(n.lines))
		}
	})
}

// A hundred quick transitions with hooks that hang: nothing waits, and the last hook is that of the last state.
func TestHangingHooks(t *testing.T) {
	notifying(t, func(t *testing.T, n *Notifier, r *runner) {
		n.Set(map[ID]Subject{"1": subject("a", 100, hookFor("/x", hook.Any))})
		r.set(func() { r.hangs = true })
		begun := time.Now()
		state := "MASTER"
		for i := range 100 {
			n.Tell("1", to(map[string]string{"MASTER": "FAULT", "FAULT": "MASTER"}[state], state))
			synctest.Wait()
			if i < 99 {
				state = map[string]string{"MASTER": "FAULT", "FAULT": "MASTER"}[state]
			}
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("telling took %s", took)
		}
		time.Sleep(2 * time.Minute)
		want(t, r.take(), "a master /x", "a fault /x")
		if f := n.Failures(); len(f) != 1 || f[0].Text != "fault: /x: killed" || f[0].Subject != "instance a" {
			t.Errorf("%+v", f)
		}
	})
}

func TestRetries(t *testing.T) {
	notifying(t, func(t *testing.T, n *Notifier, r *runner) {
		h := hookFor("/x", hook.Any)
		h.Retries = 2
		n.Set(map[ID]Subject{"1": subject("a", 100, h)})
		r.set(func() { r.fails = 2 })
		n.Tell("1", to("BACKUP", "MASTER"))
		time.Sleep(time.Minute)
		want(t, r.take(), "a master /x", "a master /x", "a master /x")
		all := r.recorded()
		if len(all) != 3 {
			t.Fatalf("%+v", all)
		}
		for try, e := range all {
			to, status := event.HookFailed, 1
			if try == 2 {
				to, status = event.HookOK, 0
			}
			if e.To != to || e.Reason != fmt.Sprintf("/x: exit status %d (try %d of 3)", status, try+1) {
				t.Errorf("%+v", e)
			}
		}
		r.set(func() { r.fails = 99 })
		n.Tell("1", to("MASTER", "FAULT"))
		time.Sleep(time.Millisecond)
		n.Tell("1", to("FAULT", "INIT")) // it is no longer worth trying again
		time.Sleep(14 * time.Millisecond)
		want(t, r.take(), "a fault /x")
		time.Sleep(time.Minute)
		want(t, r.take(), "a stop /x", "a stop /x", "a stop /x")
		if f := n.Failures(); len(f) != 1 || !strings.Contains(f[0].Text, "stop: /x: exit status 1 (try 3 of 3)") {
			t.Errorf("%+v", f)
		}
		n.Acknowledge()
		if f := n.Failures(); len(f) != 0 {
			t.Errorf("after a reload: %+v", f)
		}
	})
}

// A hook that could not be run is known before it is needed, and when it has been repaired.
func TestUselessHooks(t *testing.T) {
	notifying(t, func(t *testing.T, n *Notifier, r *runner) {
		r.set(func() { r.useless = true })
		n.Set(map[ID]Subject{"1": subject("a", 100, hookFor("/x", hook.Any))})
		synctest.Wait()
		if f := n.Failures(); len(f) != 1 || f[0].Text != "/x would fail: no such file" {
			t.Errorf("%+v", f)
		}
		r.set(func() { r.useless = false })
		time.Sleep(tryEvery + time.Second)
		if f := n.Failures(); len(f) != 0 {
			t.Errorf("repaired: %+v", f)
		}
	})
}

func TestPriority(t *testing.T) {
	notifying(t, func(t *testing.T, n *Notifier, r *runner) {
		h := hookFor("/x", hook.Priority)
		n.Set(map[ID]Subject{"1": subject("a", 100, h)})
		n.Set(map[ID]Subject{"1": subject("a", 100, h)})
		time.Sleep(time.Second)
		want(t, r.take())
		n.Set(map[ID]Subject{"1": subject("a", 80, h)})
		time.Sleep(time.Second)
		want(t, r.take(), "a priority /x")
	})
}

// A stop waits for pre_stop, also beside a hook that hangs, and then for what is told last.
func TestStop(t *testing.T) {
	notifying(t, func(t *testing.T, n *Notifier, r *runner) {
		first, last := hookFor("/pre", hook.PreStop), hookFor("/stop", hook.Stop)
		n.Set(map[ID]Subject{"1": subject("a", 100, first, last), "2": subject("b", 100, last)})
		r.set(func() { r.takes = time.Second })
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		begun := time.Now()
		n.PreStop(ctx, map[ID]hook.Change{"1": {Moment: hook.PreStop, To: "MASTER"}, "2": {Moment: hook.PreStop, To: "MASTER"}})
		if took := time.Since(begun); took != time.Second {
			t.Errorf("pre_stop took %s", took)
		}
		want(t, r.take(), "a pre_stop /pre")
		n.Tell("1", to("MASTER", "INIT"))
		n.Tell("2", to("BACKUP", "INIT"))
		n.Finish(ctx)
		got := r.take()
		slices.Sort(got)
		want(t, got, "a stop /stop", "b stop /stop")

		r.set(func() { r.hangs = true })
		n.Tell("1", to("INIT", "BACKUP"))
		synctest.Wait()
		n.Tell("1", to("BACKUP", "INIT"))
		short, end := context.WithTimeout(t.Context(), time.Second)
		defer end()
		begun = time.Now()
		n.Finish(short)
		if took := time.Since(begun); took != time.Second {
			t.Errorf("a stop waits %s for a hook that hangs, want 1s", took)
		}
	})
}
