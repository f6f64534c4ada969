package notify

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/hook"
)

// TestPutBack: a real server that a reload removes, and another one puts back, gets no hook for what happened before, whether that
// waits for its turn, for another try, or is running; and hooks run for what happens to it after that, even if hooks ran for the same state
// before.
func TestPutBack(t *testing.T) {
	blocked := hookFor("/x", everyServer...)
	for name, s := range map[string]struct {
		hook   config.Hook
		others int  // that run the same program first
		fails  bool // the first run
		ran    []string
	}{
		"it waits":          {blocked, poolHooksAlike, false, nil},
		"it is tried again": {func() config.Hook { h := blocked; h.Retries, h.RetryDelay = 3, time.Second; return h }(), 0, true, []string{"s server_down /x"}},
		"it runs":           {blocked, 0, false, []string{"s server_down /x"}},
		"it runs and fails": {func() config.Hook { h := blocked; h.Retries, h.RetryDelay = 3, time.Hour; return h }(), 0, true, []string{"s server_down /x"}},
	} {
		t.Run(name, func(t *testing.T) {
			notifying(t, func(t *testing.T, n *Notifier, r *runner) {
				more := hookFor("/more", everyServer...)
				subjects := map[ID]Subject{"s": pool(RealServer, "s", s.hook, more)}
				for i := range s.others {
					name := fmt.Sprintf("other%d", i)
					subjects[ID(name)] = pool(RealServer, name, s.hook)
					n.Set(subjects)
					n.Tell(ID(name), moved(hook.Up, hook.Down))
				}
				r.set(func() { r.takes = 500 * time.Millisecond; r.fails = map[bool]int{true: 99}[s.fails] })
				n.Set(subjects)
				synctest.Wait()
				n.Tell("s", moved(hook.Up, hook.Down))
				time.Sleep(map[bool]time.Duration{true: 600 * time.Millisecond, false: 5 * time.Millisecond}[name == "it is tried again"])
				with := subjects["s"]
				delete(subjects, "s")
				n.Set(subjects)
				n.Tell("s", moved(hook.Down, hook.Up)) // nobody is interested
				subjects["s"] = with
				n.Set(subjects)
				n.Seed("s", hook.Up) // as the director does for one that is up
				time.Sleep(time.Minute)
				r.set(func() { r.fails = 0 })
				var ran []string
				for _, line := range r.take() {
					if line[0] == 's' {
						ran = append(ran, line)
					}
				}
				want(t, ran, s.ran...)
				if f := n.Failures(); len(f) != 0 {
					t.Errorf("%+v", f)
				}
				n.Tell("s", moved(hook.Up, hook.Down))
				time.Sleep(time.Minute)
				want(t, r.take(), "s server_down /x", "s server_down /more")
			})
		})
	}
}

// TestHooksChangeMeanwhile: of a change whose first hook runs while a file is read, the hooks of that file run, each once;
// one that it removes does not run.
func TestHooksChangeMeanwhile(t *testing.T) {
	notifying(t, func(t *testing.T, n *Notifier, r *runner) {
		one, two, three := hookFor("/1", everyServer...), hookFor("/2", everyServer...), hookFor("/3", everyServer...)
		n.Set(map[ID]Subject{"s": pool(RealServer, "s", one, two)})
		r.set(func() { r.takes = time.Second })
		n.Tell("s", moved(hook.Up, hook.Down))
		time.Sleep(100 * time.Millisecond)
		n.Set(map[ID]Subject{"s": pool(RealServer, "s", one, three)})
		time.Sleep(time.Minute)
		want(t, r.take(), "s server_down /1", "s server_down /3")
	})
}

// TestRemovedWhileItFails: what a file does not have any longer is not waited for.
func TestRemovedWhileItFails(t *testing.T) {
	notifying(t, func(t *testing.T, n *Notifier, r *runner) {
		one, two := hookFor("/1", everyServer...), hookFor("/2", everyServer...)
		one.Retries, one.RetryDelay = 1, time.Hour
		n.Set(map[ID]Subject{"s": pool(RealServer, "s", one, two)})
		r.set(func() { r.takes, r.fails = time.Second, 1 })
		n.Tell("s", moved(hook.Up, hook.Down))
		time.Sleep(100 * time.Millisecond)
		n.Set(map[ID]Subject{"s": pool(RealServer, "s", two)})
		time.Sleep(time.Minute)
		want(t, r.take(), "s server_down /1", "s server_down /2")
	})
}

// TestRemovedBeforeAnotherTry: a hook that takes the place of one that waits for its second try runs once.
func TestRemovedBeforeAnotherTry(t *testing.T) {
	notifying(t, func(t *testing.T, n *Notifier, r *runner) {
		one, two := hookFor("/1", everyServer...), hookFor("/2", everyServer...)
		one.Retries, one.RetryDelay = 1, time.Second
		subjects := map[ID]Subject{"s": pool(RealServer, "s", one)}
		n.Set(subjects)
		r.set(func() { r.fails = 1; r.hanging = map[string]bool{"/1": true} })
		n.Tell("s", moved(hook.Up, hook.Down))
		time.Sleep(time.Second)
		long := hookFor("/1", everyServer...)
		long.Timeout = time.Hour
		others := servers(n, subjects, poolHooksAlike, long)
		n.Set(subjects)
		tellAll(n, others, hook.Up, hook.Down) // before its second try
		time.Sleep(31 * time.Second)
		subjects["s"] = pool(RealServer, "s", two)
		n.Set(subjects)
		r.take()
		time.Sleep(5 * time.Second)
		want(t, r.take(), "s server_down /2")
	})
}

// TestAnotherKind: what waits for a mail does not wait for mails any longer when its subject has a program instead.
func TestAnotherKind(t *testing.T) {
	notifying(t, func(t *testing.T, n *Notifier, r *runner) {
		mail := config.Hook{On: hook.Of(everyServer...), MailTo: config.ArgvOf("ops@example.com"), Timeout: time.Minute}
		r.set(func() { r.hanging = map[string]bool{mail.Label(): true} })
		subjects := map[ID]Subject{}
		ids := servers(n, subjects, poolHooksAlike+2, mail)
		n.Set(subjects)
		tellAll(n, ids, hook.Up, hook.Down)
		synctest.Wait()
		last := ids[len(ids)-1]
		subjects[last] = pool(RealServer, "s", hookFor("/x", everyServer...))
		n.Set(subjects)
		time.Sleep(time.Second)
		want(t, r.take(), "s server_down /x")
	})
}

// TestManyFailures: hooks of real servers with one program that fails are one failure, whose name does not depend on which
// of them failed first, and which ends with the last of them.
func TestManyFailures(t *testing.T) {
	notifying(t, func(t *testing.T, n *Notifier, r *runner) {
		h := hookFor("/x", everyServer...)
		subjects := map[ID]Subject{"i": subject("i", 100, hookFor("/x", hook.Any)), "v": pool(VirtualServer, "v", hookFor("/x", everyQuorum...))}
		ids := servers(n, subjects, 100, h)
		n.Set(subjects)
		r.set(func() { r.fails = 1000 })
		n.Tell("i", to("BACKUP", "MASTER"))
		n.Tell("v", moved(hook.Up, hook.Down))
		tellAll(n, ids[1:], hook.Up, hook.Down)
		time.Sleep(time.Minute)
		n.Tell(ids[0], moved(hook.Up, hook.Down))
		time.Sleep(time.Minute)
		failed := func() map[string]string {
			all := map[string]string{}
			for _, f := range n.Failures() {
				all[f.Name] = f.Subject
			}
			return all
		}
		if f := failed(); len(f) != 3 || f["i"] != "instance i" || f["v"] != "virtual server v" || f["real servers"] != "real server /x0 and 99 others" {
			t.Errorf("%q", f)
		}
		r.set(func() { r.fails = 0 })
		tellAll(n, ids[:99], hook.Down, hook.Up)
		time.Sleep(time.Minute)
		if f := failed(); len(f) != 3 || f["real servers"] != "real server /x99" {
			t.Errorf("%q", f)
		}
		n.Tell(ids[99], moved(hook.Down, hook.Up))
		time.Sleep(time.Minute)
		if f := failed(); len(f) != 2 {
			t.Errorf("%q", f)
		}
	})
}
