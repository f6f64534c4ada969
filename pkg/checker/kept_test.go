package checker

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/probe"
)

var (
	closedByServer = health.Result{Code: health.Reset, Class: health.Bad, Cause: "mysql: kept connection to 10.77.0.11:3306: connection closed by the server"}
	silence        = health.Result{Code: health.Timeout, Class: health.Bad, Cause: "mysql: kept connection to 10.77.0.11:3306: no answer to COM_PING within 800ms"}
)

// keeper keeps connections to a server that may end them.
type keeper struct {
	mu     sync.Mutex
	open   map[chan health.Result]struct{}
	opens  int
	refuse *health.Result // connections are refused so
	life   time.Duration  // after which the server ends each connection; 0: never
	files  int            // how many file descriptors the director may have
}

func (k *keeper) hold(_, until context.Context, _ *probe.Target, _ time.Duration, opened func()) health.Result {
	k.mu.Lock()
	k.opens++
	if k.refuse != nil {
		defer k.mu.Unlock()
		return *k.refuse
	}
	end := make(chan health.Result, 1)
	k.open[end] = struct{}{}
	k.mu.Unlock()
	opened()
	defer func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.open, end)
	}()
	var idle <-chan time.Time
	if k.life > 0 {
		idle = time.After(k.life)
	}
	select {
	case r := <-end:
		return r
	case <-idle:
		return closedByServer
	case <-until.Done():
		return health.Result{Code: health.Local, Cause: "cancelled"}
	}
}

// set changes how the server behaves.
func (k *keeper) set(change func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	change()
}

// limit is how many file descriptors the director may have.
func (k *keeper) limit() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.files
}

// end ends the open connections; refuse is the answer to new ones.
func (k *keeper) end(r health.Result, refuse *health.Result) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.refuse = refuse
	for end := range k.open {
		end <- r
	}
}

// state returns how many connections are open, and how many have been opened or refused.
func (k *keeper) state() (open, opens int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.open), k.opens
}

func keptCheck(fall, rise int, interval time.Duration) config.Check {
	return config.Check{Kind: config.MySQLCheck{User: "lvs_check", Keep: true}, Interval: interval, Timeout: min(interval, 800*time.Millisecond), Rise: rise, Fall: fall}
}

// keptWorld is world with one server, mysql/mysql1, whose check keeps a connection. It is up.
func keptWorld(t *testing.T, c config.Check, test func(t *testing.T, c *Checker, f *farm, d *diary, k *keeper)) {
	t.Helper()
	worldWith(t, func(c *Checker) *keeper {
		k := &keeper{open: map[chan health.Result]struct{}{}, files: 1024}
		c.Keep(k.hold, k.limit)
		return k
	}, func(t *testing.T, checker *Checker, f *farm, d *diary, k *keeper) {
		checker.Set([]Spec{spec("mysql/mysql1", one, c)})
		pass(100 * time.Millisecond)
		if open, _ := k.state(); open != 1 || !checker.Verdict(named("mysql/mysql1")).Up {
			t.Fatalf("%d connections, %+v", open, checker.Verdict(named("mysql/mysql1")))
		}
		test(t, checker, f, d, k)
	})
}

// TestKeptConnectionEnds: when the server ends it and refuses new ones, the server is out at once, after as many checks as fall.
func TestKeptConnectionEnds(t *testing.T) {
	keptWorld(t, keptCheck(3, 2, time.Second), func(t *testing.T, c *Checker, f *farm, d *diary, k *keeper) {
		before := f.count(one)
		f.set(one, always(refused))
		k.end(closedByServer, &refused)
		synctest.Wait() // no time passes
		v := c.Verdict(named("mysql/mysql1"))
		if v.Up || !strings.Contains(v.Reason, "(3 of 3); checked at once") || f.count(one)-before != 3 {
			t.Errorf("%d checks: %+v", f.count(one)-before, v)
		}
		if !strings.Contains(d.String(), "the server ended its kept connection; checking at once") {
			t.Errorf("log:\n%s", d.String())
		}
		pass(2 * time.Second)
		if n := f.count(one) - before; n != 5 {
			t.Errorf("%d checks after 2 s more, want one per interval", n)
		}
		f.set(one, always(good))
		k.end(closedByServer, nil)
		pass(1900 * time.Millisecond)
		if open, _ := k.state(); open != 1 || !c.Verdict(named("mysql/mysql1")).Up {
			t.Errorf("%d connections after it came back: %+v", open, c.Verdict(named("mysql/mysql1")))
		}
	})
}

// TestKeptConnectionOfALiveServer: a server that ends the connection and answers the next check stays, and gets no new
// connection for a while.
func TestKeptConnectionOfALiveServer(t *testing.T) {
	keptWorld(t, keptCheck(2, 2, time.Second), func(t *testing.T, c *Checker, f *farm, d *diary, k *keeper) {
		before := f.count(one)
		k.end(closedByServer, nil)
		synctest.Wait()
		if n := f.count(one) - before; n != 1 || !c.Verdict(named("mysql/mysql1")).Up {
			t.Errorf("%d checks, want one: %+v", n, c.Verdict(named("mysql/mysql1")))
		}
		for _, step := range []struct {
			wait time.Duration
			open int
		}{{9 * time.Second, 0}, {2 * time.Second, 1}} {
			pass(step.wait)
			if open, _ := k.state(); open != step.open {
				t.Errorf("%d connections, want %d", open, step.open)
			}
		}
		if len(d.changes()) != 1 {
			t.Errorf("changes: %v", d.changes())
		}
	})
}

// TestKeptConnectionIsSilent: neither a connection that no longer answers nor early checks without an answer take a server
// out sooner than its checks at their usual pace.
func TestKeptConnectionIsSilent(t *testing.T) {
	for name, end := range map[string]health.Result{"no answer to a ping": silence, "closed, then silent": closedByServer} {
		t.Run(name, func(t *testing.T) {
			keptWorld(t, keptCheck(2, 2, time.Second), func(t *testing.T, c *Checker, f *farm, d *diary, k *keeper) {
				f.set(one, dead)
				k.end(end, &late)
				pass(2700*time.Millisecond - 100*time.Millisecond) // the checks of 1 s and 2 s time out at 1.8 s and 2.8 s
				if v := c.Verdict(named("mysql/mysql1")); !v.Up {
					t.Errorf("out too early: %+v", v)
				}
				pass(200 * time.Millisecond)
				if v := c.Verdict(named("mysql/mysql1")); v.Up {
					t.Errorf("not out: %+v", v)
				}
			})
		})
	}
}

// TestKeptConnectionThenStuck: an early check that does not return is silence, too.
func TestKeptConnectionThenStuck(t *testing.T) {
	keptWorld(t, keptCheck(2, 2, time.Second), func(t *testing.T, c *Checker, f *farm, d *diary, k *keeper) {
		release := make(chan struct{})
		defer close(release)
		f.set(one, func(context.Context) health.Result { <-release; return late })
		k.end(closedByServer, &late)
		pass(1500 * time.Millisecond) // it is given up at 1 s, when the next check is due, which counts once
		if v := c.Verdict(named("mysql/mysql1")); !v.Up {
			t.Errorf("%+v", v)
		}
	})
}

// TestKeptConnectionWhileACheckRuns: the check that runs when the server dies counts, and the next one does not wait.
func TestKeptConnectionWhileACheckRuns(t *testing.T) {
	keptWorld(t, keptCheck(2, 2, time.Second), func(t *testing.T, c *Checker, f *farm, d *diary, k *keeper) {
		dies := make(chan struct{})
		f.set(one, func(context.Context) health.Result { <-dies; return closedByServer })
		pass(time.Second) // it runs
		f.set(one, always(refused))
		k.end(closedByServer, &refused)
		synctest.Wait()
		close(dies)
		synctest.Wait()
		if v := c.Verdict(named("mysql/mysql1")); v.Up {
			t.Errorf("%+v", v)
		}
	})
}

// TestKeptConnectionEndsBehindAGoodCheck: a check that runs when the connection ends, and is good, says nothing about the server
// after that: no connection is opened until the next one is good too, and lvsctl explain keeps the reason of the end.
func TestKeptConnectionEndsBehindAGoodCheck(t *testing.T) {
	keptWorld(t, keptCheck(2, 2, time.Second), func(t *testing.T, c *Checker, f *farm, d *diary, k *keeper) {
		answers := make(chan struct{})
		f.set(one, func(context.Context) health.Result { <-answers; return good })
		pass(time.Second) // it runs
		_, before := k.state()
		f.set(one, always(refused))
		k.end(closedByServer, &refused)
		synctest.Wait()
		close(answers)
		synctest.Wait()
		if _, opens := k.state(); opens != before || c.Verdict(named("mysql/mysql1")).Up {
			t.Errorf("%d connections, %d before: %+v", opens, before, c.Verdict(named("mysql/mysql1")))
		}
	})
}

// TestKeptConnectionRefused: a check that cannot keep a connection says so once, and works.
func TestKeptConnectionRefused(t *testing.T) {
	keptWorld(t, keptCheck(2, 2, time.Second), func(t *testing.T, c *Checker, f *farm, d *diary, k *keeper) {
		k.end(silence, &denied)
		pass(40 * time.Second)
		if n := strings.Count(d.String(), "no connection to the server is kept"); n != 1 {
			t.Errorf("%d lines:\n%s", n, d.String())
		}
		if _, opens := k.state(); opens < 3 || opens > 5 {
			t.Errorf("%d connections in 40 s", opens)
		}
		if v := c.Verdict(named("mysql/mysql1")); !v.Up || v.Code != health.OK {
			t.Errorf("%+v", v)
		}
	})
}

// TestKeptConnectionTakesTheLastSlot: if the account may have one connection, the check has it.
func TestKeptConnectionTakesTheLastSlot(t *testing.T) {
	keptWorld(t, keptCheck(2, 2, time.Second), func(t *testing.T, c *Checker, f *farm, d *diary, k *keeper) {
		f.set(one, func(context.Context) health.Result {
			if open, _ := k.state(); open > 0 {
				return limited
			}
			return good
		})
		pass(5 * time.Minute)
		e, _, err := c.Explain(t.Context(), named("mysql/mysql1"))
		if err != nil || e.Checks[0].Inconclusive != 1 || e.Verdict.Code != health.OK {
			t.Errorf("%v: %d inconclusive results: %+v", err, e.Checks[0].Inconclusive, e.Verdict)
		}
		if open, opens := k.state(); open != 0 || opens != 1 {
			t.Errorf("%d of %d connections are open", open, opens)
		}
	})
}

// TestFlap: a server that dies and starts once a second, for a minute, goes and comes back once.
func TestFlap(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		interval := rapid.SampledFrom([]time.Duration{100 * time.Millisecond, 250 * time.Millisecond, 700 * time.Millisecond, time.Second, 1300 * time.Millisecond}).Draw(r, "interval")
		alive := time.Duration(rapid.IntRange(100, 900).Draw(r, "ms alive")) * time.Millisecond
		phase := time.Duration(rapid.IntRange(0, 999).Draw(r, "ms until it dies")) * time.Millisecond
		check := keptCheck(rapid.IntRange(1, 4).Draw(r, "fall"), rapid.IntRange(1, 4).Draw(r, "rise"), interval)
		keptWorld(t, check, func(t *testing.T, c *Checker, f *farm, d *diary, k *keeper) {
			pass(phase)
			for range 60 {
				f.set(one, always(refused))
				k.end(closedByServer, &refused)
				pass(time.Second - alive)
				f.set(one, always(good))
				k.end(closedByServer, nil)
				pass(alive)
			}
			pass(10 * time.Second)
			changes := slices.DeleteFunc(d.changes(), func(change string) bool { return strings.HasSuffix(change, " failures)") })
			if len(changes) != 3 { // the first is that it is up
				r.Fatalf("changes:\n%s", strings.Join(changes, "\n"))
			}
		})
	})
}
