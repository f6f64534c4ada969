package notify

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/hook"
)

func moved(from, to string) func(Subject) hook.Change {
	return func(s Subject) hook.Change {
		moments := map[string]hook.Moment{RealServer + hook.Up: hook.ServerUp, RealServer + hook.Down: hook.ServerDown, VirtualServer + hook.Up: hook.QuorumUp, VirtualServer + hook.Down: hook.QuorumDown}
		return hook.Change{Moment: moments[s.Type+to], From: from, To: to, At: time.Now()}
	}
}

func pool(kind, name string, hooks ...config.Hook) Subject {
	return Subject{Type: kind, Name: name, Hooks: hooks}
}

var (
	everyServer = []hook.Moment{hook.ServerUp, hook.ServerDown}
	everyQuorum = []hook.Moment{hook.QuorumUp, hook.QuorumDown}
)

// servers are many real servers with one hook, which are up.
func servers(n *Notifier, subjects map[ID]Subject, count int, h config.Hook) (ids []ID) {
	for i := range count {
		id := ID(fmt.Sprintf("%s%d", h.Label(), i))
		subjects[id] = pool(RealServer, string(id), h)
		ids = append(ids, id)
	}
	return ids
}

func tellAll(n *Notifier, ids []ID, from, to string) {
	for _, id := range ids {
		n.Tell(id, moved(from, to))
	}
}

// TestManyPools: of the hooks of real servers only a few run at the same time, those of instances and virtual servers wait
// for none of them, and a hook does not begin for a state that has passed while it waited, nor for the return to the state
// that hooks ran for last.
func TestManyPools(t *testing.T) {
	notifying(t, func(t *testing.T, n *Notifier, r *runner) {
		r.set(func() { r.takes = time.Second })
		subjects := map[ID]Subject{"i": subject("i", 100, hookFor("/i", hook.Any)), "v": pool(VirtualServer, "v", hookFor("/h", everyQuorum...))}
		const count = 10 * poolHooksAlike
		ids := servers(n, subjects, count, hookFor("/h", everyServer...))
		n.Set(subjects)
		for _, id := range ids {
			n.Seed(id, hook.Up)
		}
		tellAll(n, ids, hook.Up, hook.Down)
		time.Sleep(500 * time.Millisecond)
		n.Tell("i", to("BACKUP", "MASTER"))
		n.Tell("v", moved(hook.Up, hook.Down))
		tellAll(n, ids, hook.Down, hook.Up)
		time.Sleep(1100 * time.Millisecond)
		if ran := r.take(); !slices.Contains(ran, "i master /i") || !slices.Contains(ran, "v quorum_down /h") || len(ran) != poolHooksAlike+2 {
			t.Errorf("at first %q", ran)
		}
		time.Sleep(time.Minute)
		ran := r.take()
		if slices.ContainsFunc(ran, func(line string) bool { return !strings.Contains(line, "server_up") }) || len(ran) != poolHooksAlike || r.most != poolHooksAlike+2 {
			t.Errorf("%q, at most %d at the same time; want server_up of the %d that server_down ran for", ran, r.most, poolHooksAlike)
		}
	})
}

// TestHangingPools: hooks that hang leave room for others, even of the same real servers, and cost no goroutine while they wait.
func TestHangingPools(t *testing.T) {
	notifying(t, func(t *testing.T, n *Notifier, r *runner) {
		r.set(func() { r.hanging = map[string]bool{"/bad": true, "/worse": true} })
		subjects := map[ID]Subject{}
		bad := servers(n, subjects, 5000, hookFor("/bad", everyServer...))
		worse := servers(n, subjects, 5000, hookFor("/worse", everyServer...))
		good := servers(n, subjects, 100, hookFor("/good", everyServer...))
		n.Set(subjects)
		before := runtime.NumGoroutine()
		tellAll(n, slices.Concat(bad, worse, good), hook.Up, hook.Down)
		synctest.Wait()
		if more := runtime.NumGoroutine() - before; more > 2*poolHooks {
			t.Errorf("%d goroutines for hooks that wait", more)
		}
		time.Sleep(10 * time.Second)
		if ran := r.take(); len(ran) != len(good) {
			t.Errorf("%d hooks ran beside those that hang, want %d", len(ran), len(good))
		}
		time.Sleep(time.Hour)
		if ran := r.take(); len(ran) < 2*poolHooksAlike*110 {
			t.Errorf("%d of those that hang were killed in an hour", len(ran))
		}
	})
}

// TestPoolsInTheirOrder: however many programs differ, only so many hooks run at the same time, and the next one is that
// which has waited for the longest time.
func TestPoolsInTheirOrder(t *testing.T) {
	notifying(t, func(t *testing.T, n *Notifier, r *runner) {
		r.set(func() { r.takes = time.Second })
		subjects := map[ID]Subject{}
		var ids []ID
		var order []string
		for i := range 3 * poolHooks {
			name := fmt.Sprintf("s%02d", i)
			subjects[ID(name)] = pool(RealServer, name, hookFor(fmt.Sprintf("/%d", i%(2*poolHooks)), everyServer...))
			ids, order = append(ids, ID(name)), append(order, name)
		}
		n.Set(subjects)
		tellAll(n, ids, hook.Up, hook.Down)
		for begin := 0; begin < len(order); begin += poolHooks {
			time.Sleep(time.Second + time.Millisecond)
			var ran []string
			for _, line := range r.take() {
				ran = append(ran, strings.Fields(line)[0])
			}
			slices.Sort(ran)
			want(t, ran, order[begin:begin+poolHooks]...)
		}
		if r.set(func() {}); r.most != poolHooks {
			t.Errorf("%d at the same time", r.most)
		}
	})
}

// TestKindOfALaterChange: a change whose hook is of another kind than that of the change before, for which its subject has waited, waits
// with those of its kind.
func TestKindOfALaterChange(t *testing.T) {
	notifying(t, func(t *testing.T, n *Notifier, r *runner) {
		mail := config.Hook{On: hook.Of(hook.ServerDown), MailTo: config.ArgvOf("ops@example.com"), Timeout: 10 * time.Second}
		r.set(func() { r.hanging = map[string]bool{mail.Label(): true, "/x": true} })
		subjects := map[ID]Subject{"s": pool(RealServer, "s", mail, hookFor("/x", hook.ServerUp))}
		all := slices.Concat(servers(n, subjects, poolHooksAlike, mail), servers(n, subjects, poolHooksAlike, hookFor("/x", everyServer...)))
		n.Set(subjects)
		tellAll(n, all, hook.Up, hook.Down)
		n.Tell("s", moved(hook.Up, hook.Down))
		n.Tell("s", moved(hook.Down, hook.Up))
		time.Sleep(15 * time.Second)
		r.set(func() {
			if r.now != poolHooksAlike {
				t.Errorf("%d of /x at the same time", r.now)
			}
		})
		time.Sleep(time.Minute)
		if ran := r.take(); ran[len(ran)-1] != "s server_up /x" {
			t.Errorf("%q", ran)
		}
	})
}

// TestPoolRetries: a hook is tried again, without a slot while it waits for that, unless the state has changed.
func TestPoolRetries(t *testing.T) {
	notifying(t, func(t *testing.T, n *Notifier, r *runner) {
		h, more := hookFor("/x", everyServer...), hookFor("/more", everyServer...)
		h.Retries, h.RetryDelay = 2, 10*time.Second
		subjects := map[ID]Subject{"1": pool(RealServer, "1", h, more)}
		n.Set(subjects)
		r.set(func() { r.fails = 2 })
		n.Tell("1", moved(hook.Up, hook.Down))
		time.Sleep(15 * time.Second)
		want(t, r.take(), "1 server_down /x", "1 server_down /x")
		time.Sleep(15 * time.Second)
		want(t, r.take(), "1 server_down /x", "1 server_down /more")
		r.set(func() { r.fails = 1 })
		n.Tell("1", moved(hook.Down, hook.Up))
		time.Sleep(5 * time.Second)
		n.Tell("1", moved(hook.Up, hook.Down))
		time.Sleep(time.Minute)
		want(t, r.take(), "1 server_up /x", "1 server_up /more", "1 server_down /x", "1 server_down /more")

		r.set(func() { r.fails, r.takes = 1, time.Second })
		n.Tell("1", moved(hook.Down, hook.Up))
		time.Sleep(500 * time.Millisecond)
		n.Tell("1", moved(hook.Up, hook.Down)) // it is not worth waiting for another try
		time.Sleep(3 * time.Second)
		want(t, r.take(), "1 server_up /x", "1 server_up /more", "1 server_down /x")
		time.Sleep(time.Minute)
		r.take()

		n.Set(map[ID]Subject{"1": pool(RealServer, "1", more)})
		r.set(func() { r.fails = 1 })
		n.Tell("1", moved(hook.Down, hook.Up))
		time.Sleep(500 * time.Millisecond)
		n.Tell("1", moved(hook.Up, hook.Down))
		n.Tell("1", moved(hook.Down, hook.Up)) // as before, and those hooks have failed
		time.Sleep(time.Minute)
		want(t, r.take(), "1 server_up /more", "1 server_up /more")
		if f := n.Failures(); len(f) != 0 {
			t.Errorf("%+v", f)
		}
	})
}

// TestReloadBesidePools: what waits gets the hooks of the file that is read meanwhile, and nothing runs for what that has no longer.
func TestReloadBesidePools(t *testing.T) {
	notifying(t, func(t *testing.T, n *Notifier, r *runner) {
		r.set(func() { r.hanging = map[string]bool{"/wrong": true} })
		subjects := map[ID]Subject{}
		ids := servers(n, subjects, poolHooksAlike+2, hookFor("/wrong", everyServer...))
		n.Set(subjects)
		tellAll(n, ids, hook.Up, hook.Down)
		synctest.Wait()
		last, removed := ids[len(ids)-2], ids[len(ids)-1]
		delete(subjects, removed)
		subjects[last] = pool(RealServer, "renamed", hookFor("/right", everyServer...))
		n.Set(subjects)
		time.Sleep(time.Hour)
		var rest []string
		for _, line := range r.take() {
			if !strings.HasSuffix(line, "/wrong") || strings.HasPrefix(line, string(removed)) {
				rest = append(rest, line)
			}
		}
		want(t, rest, "renamed server_down /right")
		n.mu.Lock()
		defer n.mu.Unlock()
		if q := n.queues[RealServer]; len(n.lines) != len(subjects) || q.running != 0 || len(q.kinds) != 0 {
			t.Errorf("%d lines, %d run, %d kinds", len(n.lines), q.running, len(q.kinds))
		}
	})
}

// TestStopBesidePools: a stop waits for no hook of a real server.
func TestStopBesidePools(t *testing.T) {
	notifying(t, func(t *testing.T, n *Notifier, r *runner) {
		r.set(func() { r.hanging = map[string]bool{"/x": true} })
		subjects := map[ID]Subject{"i": subject("i", 100, hookFor("/stop", hook.Stop))}
		ids := servers(n, subjects, 100, hookFor("/x", everyServer...))
		n.Set(subjects)
		tellAll(n, ids, hook.Up, hook.Down)
		n.Tell("i", to("MASTER", "INIT"))
		begun := time.Now()
		n.Finish(t.Context())
		if took := time.Since(begun); took != 10*time.Millisecond {
			t.Errorf("it took %s", took)
		}
	})
}

// TestTrials: of hooks that differ in their arguments only one is tried, those of instances first, and what cannot be run is one finding.
func TestTrials(t *testing.T) {
	notifying(t, func(t *testing.T, n *Notifier, r *runner) {
		time.Sleep(time.Second)
		subjects := map[ID]Subject{"i": subject("i", 100, hookFor("/i", hook.Any))}
		for i := range 100 {
			name := fmt.Sprintf("s%02d", i)
			h := hookFor("/x", everyServer...)
			h.Argv = config.ArgvOf("/x", name)
			subjects[ID(name)] = pool(RealServer, name, h)
		}
		r.set(func() { r.useless = true; r.tried = nil })
		n.Set(subjects)
		synctest.Wait()
		r.set(func() { want(t, r.tried, "/i", "/x") })
		failures := n.Failures()
		slices.SortFunc(failures, func(a, b Failure) int { return strings.Compare(a.Name, b.Name) })
		if len(failures) != 2 || failures[1].Name != "s00" || failures[1].Subject != "real server s00 and 99 others" || failures[0].Subject != "instance i" {
			t.Errorf("%+v", failures)
		}
	})
}
