package notify

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/hook"
)

// patient is a hook that is tried again only after a long time.
func patient(program string) config.Hook {
	h := hookFor(program, everyServer...)
	h.Retries, h.RetryDelay = 3, 10*time.Minute
	return h
}

// TestNothingWaitsForAPointlessTry: a hook that has failed and waits for another try delays neither the hooks of a later
// state, nor those that a reload has put in its place, nor those of a subject that was removed and is there again.
func TestNothingWaitsForAPointlessTry(t *testing.T) {
	old, fresh := patient("/old"), hookFor("/new", everyServer...)
	oftener, never := old, old
	oftener.RetryDelay = time.Second
	never.Retries = 0
	for name, c := range map[string]struct {
		then   func(n *Notifier)
		ran    []string
		failed int
	}{
		"a later state": {
			func(n *Notifier) { n.Tell("s", moved(hook.Down, hook.Up)) },
			[]string{"s server_up /old"},
			0,
		},
		"another hook": {
			func(n *Notifier) { n.Set(map[ID]Subject{"s": pool(RealServer, "s", fresh)}) },
			[]string{"s server_down /new"},
			0,
		},
		"removed and put back": {
			func(n *Notifier) {
				n.Set(nil)
				n.Set(map[ID]Subject{"s": pool(RealServer, "s", fresh)})
				n.Seed("s", hook.Up)
				n.Tell("s", moved(hook.Up, hook.Down))
			},
			[]string{"s server_down /new"},
			0,
		},
		"another delay": {
			func(n *Notifier) { n.Set(map[ID]Subject{"s": pool(RealServer, "s", oftener)}) },
			[]string{"s server_down /old"},
			0,
		},
		"no other try": {
			func(n *Notifier) { n.Set(map[ID]Subject{"s": pool(RealServer, "s", never)}) },
			nil, 1,
		},
		"the same file": {
			func(n *Notifier) { n.Set(map[ID]Subject{"s": pool(RealServer, "renamed", old)}) },
			nil, 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			notifying(t, func(t *testing.T, n *Notifier, r *runner) {
				n.Set(map[ID]Subject{"s": pool(RealServer, "s", old)})
				r.set(func() { r.fails = 1 })
				n.Tell("s", moved(hook.Up, hook.Down))
				time.Sleep(time.Second)
				want(t, r.take(), "s server_down /old")
				c.then(n)
				time.Sleep(time.Second)
				want(t, r.take(), c.ran...)
				if f := n.Failures(); len(f) != c.failed {
					t.Errorf("%+v", f)
				}
				time.Sleep(time.Hour)
				if name == "the same file" {
					want(t, r.take(), "renamed server_down /old")
				} else {
					want(t, r.take()) // its timer does nothing
				}
			})
		})
	}
}

// TestLateBeforeItsTurn: a second try that waits for its turn does not run if the state has changed meanwhile.
func TestLateBeforeItsTurn(t *testing.T) {
	notifying(t, func(t *testing.T, n *Notifier, r *runner) {
		h, down := hookFor("/x", hook.ServerUp), hookFor("/x", hook.ServerDown)
		down.Retries, down.RetryDelay = 3, time.Second
		subjects := map[ID]Subject{"s": pool(RealServer, "s", h, down)}
		n.Set(subjects)
		r.set(func() { r.fails = 1 })
		n.Tell("s", moved(hook.Up, hook.Down))
		time.Sleep(500 * time.Millisecond)
		want(t, r.take(), "s server_down /x")
		r.set(func() { r.hanging = map[string]bool{"/x": true} })
		tellAll(n, func() []ID {
			ids := servers(n, subjects, poolHooksAlike, hookFor("/x", everyServer...))
			n.Set(subjects)
			return ids
		}(), hook.Up, hook.Down)
		time.Sleep(time.Second) // it waits for its turn
		r.set(func() { r.hanging = nil })
		n.Tell("s", moved(hook.Down, hook.Up))
		time.Sleep(time.Minute)
		var own []string
		for _, line := range r.take() {
			if line[0] == 's' {
				own = append(own, line)
			}
		}
		want(t, own, "s server_up /x")
		// The six that hung until they were killed, and its own.
		if f := n.Failures(); len(f) != 1 || !strings.HasSuffix(f[0].Subject, "and 6 others") {
			t.Errorf("%+v", f)
		}
	})
}

// TestOnlyItsLimitsChange: a hook of which a reload changes only how long it may take, how often it is tried and when it runs does not run
// twice for one change, and its failure is reported.
func TestOnlyItsLimitsChange(t *testing.T) {
	notifying(t, func(t *testing.T, n *Notifier, r *runner) {
		one, two := hookFor("/1", everyServer...), hookFor("/2", everyServer...)
		n.Set(map[ID]Subject{"s": pool(RealServer, "s", one, two)})
		r.set(func() { r.takes, r.fails = time.Second, 1 })
		n.Tell("s", moved(hook.Up, hook.Down))
		synctest.Wait()
		changed := one
		changed.On, changed.Timeout, changed.RetryDelay = hook.Of(hook.ServerDown), time.Hour, time.Hour
		n.Set(map[ID]Subject{"s": pool(RealServer, "s", changed, two)})
		time.Sleep(time.Minute)
		want(t, r.take(), "s server_down /1", "s server_down /2")
		if f := n.Failures(); len(f) != 1 || f[0].Hook != changed {
			t.Errorf("%+v", f)
		}
		n.Tell("s", moved(hook.Down, hook.Up))
		n.Tell("s", moved(hook.Up, hook.Down))
		time.Sleep(time.Minute)
		want(t, r.take(), "s server_up /2", "s server_down /1", "s server_down /2")
		if f := n.Failures(); len(f) != 0 {
			t.Errorf("%+v", f)
		}
	})
}

// TestNoInstanceWaitsForAPointlessTry: likewise for the later state of an instance.
func TestNoInstanceWaitsForAPointlessTry(t *testing.T) {
	notifying(t, func(t *testing.T, n *Notifier, r *runner) {
		h := hookFor("/x", hook.Any)
		h.Retries, h.RetryDelay = 3, 10*time.Minute
		n.Set(map[ID]Subject{"1": subject("a", 100, h)})
		r.set(func() { r.fails = 1 })
		n.Tell("1", to("BACKUP", "MASTER"))
		time.Sleep(time.Second)
		want(t, r.take(), "a master /x")
		n.Set(map[ID]Subject{"1": subject("a", 90, h)}) // no state: it goes on waiting
		time.Sleep(time.Second)
		n.Tell("1", to("MASTER", "FAULT"))
		time.Sleep(time.Second)
		want(t, r.take(), "a fault /x")
		time.Sleep(time.Hour)
		want(t, r.take())
	})
}
