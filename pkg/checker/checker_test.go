package checker

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/logtest"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/probe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	good    = health.Result{Code: health.OK, Class: health.Good, Cause: "mysql: answered in 3ms"}
	refused = health.Result{Code: health.Refused, Class: health.Bad, Cause: "mysql: dial 10.77.0.12:3306: connection refused"}
	denied  = health.Result{Code: health.Auth, Class: health.Unknown, Cause: "mysql: access denied"}
	late    = health.Result{Code: health.Timeout, Class: health.Bad, Cause: "mysql: no answer within 800ms"}
)

// farm is a set of servers, all of which are good until set.
type farm struct {
	mu      sync.Mutex
	answers map[netip.AddrPort]func(context.Context) health.Result
	asked   map[netip.AddrPort][]time.Time
	now     int
	most    int // probes at the same time
	twice   int // probes of one server at the same time, beyond the first
	busy    map[netip.AddrPort]int
	targets []probe.Target
}

func newFarm() *farm {
	return &farm{
		answers: map[netip.AddrPort]func(context.Context) health.Result{},
		asked:   map[netip.AddrPort][]time.Time{}, busy: map[netip.AddrPort]int{},
	}
}

func (f *farm) probe(ctx context.Context, t probe.Target) health.Result {
	f.mu.Lock()
	f.asked[t.Address] = append(f.asked[t.Address], time.Now())
	f.targets = append(f.targets, t)
	f.now++
	f.most = max(f.most, f.now)
	f.twice += f.busy[t.Address]
	f.busy[t.Address]++
	answer := f.answers[t.Address]
	f.mu.Unlock()
	r := good
	if answer != nil {
		r = answer(ctx)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now--
	f.busy[t.Address]--
	return r
}

func (f *farm) set(server string, answer func(context.Context) health.Result) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[netip.MustParseAddrPort(server)] = answer
}

func (f *farm) times(server string) []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[netip.MustParseAddrPort(server)]
}

func always(r health.Result) func(context.Context) health.Result {
	return func(context.Context) health.Result { return r }
}

// dead times out, like a host that is gone.
func dead(ctx context.Context) health.Result { <-ctx.Done(); return late }

// diary records the calls of onChange and the log.
type diary struct {
	logtest.Buffer
	began   time.Time
	mu      sync.Mutex
	entries []string
}

func (d *diary) note(subject config.Subject, _, v health.Verdict) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries = append(d.entries, fmt.Sprintf("%v %s: %s", time.Since(d.began), subject, v.Reason))
}

func (d *diary) changes() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.entries...)
}

func mysqlCheck() config.Check {
	return config.Check{Kind: config.MySQLCheck{User: "lvs_check"}, Interval: time.Second, Timeout: 800 * time.Millisecond, Rise: 2, Fall: 2}
}

// named is the subject with a name like those of logs: a real server, "mysql/mysql1", or else a track.
func named(name string) config.Subject {
	if service, server, ok := strings.Cut(name, "/"); ok {
		return config.Subject{Server: config.ServerID{Service: service, Server: server}}
	}
	return config.Subject{Track: config.TrackID(name)}
}

func spec(name, server string, checks ...config.Check) Spec {
	at := netip.MustParseAddrPort(server)
	if checks == nil {
		checks = []config.Check{mysqlCheck()}
	}
	return Spec{Subject: named(name), Address: at.Addr(), Port: at.Port(), Checks: checks}
}

// world runs a test in a bubble of virtual time, with a running Checker.
func world(t *testing.T, test func(t *testing.T, c *Checker, f *farm, d *diary)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f, d := newFarm(), &diary{began: time.Now()}
		secrets := func(file string) (string, error) { return "secret of " + file, nil }
		c := New(f.probe, secrets,
			slog.New(slog.NewTextHandler(d, nil)), d.note)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		defer func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Run: %v", err)
			}
		}()
		test(t, c, f, d)
	})
}

// pass lets virtual time pass, and everything due at its end happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func ready(c *Checker) bool {
	select {
	case <-c.Ready():
		return true
	default:
		return false
	}
}

const (
	one = "10.77.0.11:3306"
	two = "10.77.0.12:3306"
)

func TestFallAndRise(t *testing.T) {
	world(t, func(t *testing.T, c *Checker, f *farm, d *diary) {
		if got := c.Verdict(named("mysql/mysql2")); got.Known || got.Reason != "unknown: not checked yet" {
			t.Errorf("before the first result: %+v", got)
		}
		f.set(two, always(refused))
		c.Set([]Spec{spec("mysql/mysql1", one), spec("mysql/mysql2", two)})
		pass(0)
		if !ready(c) {
			t.Error("not ready after the first results")
		}
		pass(2500 * time.Millisecond)
		f.set(two, nil)
		f.set(one, always(refused))
		pass(2 * time.Second)
		want := []string{
			"0s mysql/mysql1: up: mysql: answered in 3ms",
			"0s mysql/mysql2: down: mysql: dial 10.77.0.12:3306: connection refused (first check)",
			"3s mysql/mysql1: up: mysql: dial 10.77.0.12:3306: connection refused (1 of 2 failures)",
			"4s mysql/mysql1: down: mysql: dial 10.77.0.12:3306: connection refused (2 of 2)",
			"4s mysql/mysql2: up: mysql: answered in 3ms",
		}
		sorted := cmp.Transformer("sort", func(s []string) map[string]bool {
			m := map[string]bool{}
			for _, e := range s {
				m[e] = true
			}
			return m
		})
		if diff := cmp.Diff(want, d.changes(), sorted); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
		if got, _ := c.Verdicts().Of(named("mysql/mysql1")); got.Up || !got.Known {
			t.Errorf("snapshot: %+v", got)
		}
	})
}

// TestVerdictsSnapshot: a snapshot of the verdicts does not change, and costs a few bytes a server: the director takes
// one whenever a verdict changes.
func TestVerdictsSnapshot(t *testing.T) {
	world(t, func(t *testing.T, c *Checker, f *farm, d *diary) {
		c.Set([]Spec{spec("a", one), spec("b", two)})
		pass(0)
		before := c.Verdicts()
		f.set(one, always(refused))
		pass(10 * time.Second)
		after := c.Verdicts()
		for _, tt := range []struct {
			name string
			of   plan.Verdicts
			up   bool
		}{{"before", before, true}, {"after", after, false}} {
			if v, known := tt.of.Of(named("a")); !known || v.Up != tt.up {
				t.Errorf("%s: %+v", tt.name, v)
			}
			if v, known := tt.of.Of(named("b")); !known || !v.Up {
				t.Errorf("%s: %+v", tt.name, v)
			}
		}
		if _, known := after.Of(named("unknown")); known {
			t.Error("a verdict of an unknown subject")
		}
		if n := testing.AllocsPerRun(10, func() { after = c.Verdicts() }); n > 1 {
			t.Errorf("%v allocations, want one: the list of pointers", n)
		}
	})
}

// TestFrozenServerTime: a frozen server is down within fall × interval + timeout.
func TestFrozenServerTime(t *testing.T) {
	world(t, func(t *testing.T, c *Checker, f *farm, d *diary) {
		c.Set([]Spec{spec("mysql/mysql1", one)})
		pass(100 * time.Millisecond)
		f.set(one, dead)
		pass(2*time.Second + 800*time.Millisecond - 101*time.Millisecond)
		if !c.Verdict(named("mysql/mysql1")).Up {
			t.Error("down before the second time-out")
		}
		pass(time.Millisecond)
		if v := c.Verdict(named("mysql/mysql1")); v.Up || v.Reason != "down: mysql: no answer within 800ms (2 of 2)" {
			t.Errorf("after fall × interval + timeout: %+v", v)
		}
	})
}

// TestTimeoutAsLongAsTheInterval: with a time-out as long as the interval, the default, a probe ends just after the
// next one was due.
func TestTimeoutAsLongAsTheInterval(t *testing.T) {
	world(t, func(t *testing.T, c *Checker, f *farm, d *diary) {
		k := mysqlCheck()
		k.Timeout = k.Interval
		c.Set([]Spec{spec("mysql/mysql1", one, k)})
		pass(100 * time.Millisecond)
		f.set(one, func(ctx context.Context) health.Result {
			<-ctx.Done()
			time.Sleep(time.Millisecond)
			return late
		})
		pass(2*time.Second + k.Timeout - 95*time.Millisecond)
		if v := c.Verdict(named("mysql/mysql1")); v.Up {
			t.Errorf("after fall × interval + timeout: %+v", v)
		}
		if f.twice != 0 {
			t.Errorf("%d probes of one identity ran next another", f.twice)
		}
		f.set(one, nil)
		pass(10 * time.Second) // missed probes are not made up for
		if got := len(f.times(one)); got > 15 {
			t.Errorf("%d probes in 13 s", got)
		}
	})
}

func TestIntervalsRunFromStartToStart(t *testing.T) {
	world(t, func(t *testing.T, c *Checker, f *farm, d *diary) {
		f.set(one, func(context.Context) health.Result { time.Sleep(700 * time.Millisecond); return good })
		c.Set([]Spec{spec("mysql/mysql1", one)})
		pass(5500 * time.Millisecond)
		var got []time.Duration
		for _, at := range f.times(one) {
			got = append(got, at.Sub(d.began))
		}
		want := []time.Duration{0, time.Second, 2 * time.Second, 3 * time.Second, 4 * time.Second, 5 * time.Second}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("probes (-want +got):\n%s", diff)
		}
	})
}

func TestIdenticalChecksAreShared(t *testing.T) {
	world(t, func(t *testing.T, c *Checker, f *farm, d *diary) {
		other := mysqlCheck()
		other.Kind = config.MySQLCheck{User: "somebody_else"}
		withPort := mysqlCheck()
		withPort.Port = 3306 // the default
		c.Set([]Spec{spec("read/mysql1", one), spec("write/mysql1", one, withPort), spec("third/mysql1", one, other)})
		pass(100 * time.Millisecond)
		if got := len(f.times(one)); got != 2 {
			t.Errorf("%d probes for two identities", got)
		}
		f.set(one, always(refused))
		pass(2 * time.Second)
		for name, v := range c.Verdicts().All() {
			if v.Up {
				t.Errorf("%s: %+v", name, v)
			}
		}
	})
}

func TestAllChecksMustPass(t *testing.T) {
	world(t, func(t *testing.T, c *Checker, f *farm, d *diary) {
		extra := config.Check{Kind: config.TCPCheck{}, Interval: time.Second, Timeout: time.Second, Rise: 1, Fall: 1, Port: 9200}
		f.set("10.77.0.11:9200", always(refused))
		c.Set([]Spec{spec("a", one, mysqlCheck(), extra), {Subject: named("nothing to check")}})
		pass(0)
		if v := c.Verdict(named("a")); !v.Known || v.Up {
			t.Errorf("with one of two checks failed: %+v", v)
		}
		if v := c.Verdict(named("nothing to check")); !v.Known || !v.Up {
			t.Errorf("without a check: %+v", v)
		}
	})
}

// TestReloadKeepsStateAndRhythm: a Set does not affect an unchanged check.
func TestReloadKeepsStateAndRhythm(t *testing.T) {
	world(t, func(t *testing.T, c *Checker, f *farm, d *diary) {
		c.Set([]Spec{spec("a", one), spec("b", two)})
		pass(100 * time.Millisecond)
		f.set(one, always(refused))
		pass(1200 * time.Millisecond) // one failure
		c.Set([]Spec{spec("new", "10.77.0.13:3306"), spec("a", one)})
		pass(0)
		if v := c.Verdict(named("a")); !v.Up || !strings.Contains(v.Reason, "1 of 2 failures") {
			t.Errorf("after Set: %+v", v)
		}
		if v := c.Verdict(named("new")); !v.Up {
			t.Errorf("a new server is checked at once: %+v", v)
		}
		if v := c.Verdict(named("b")); v.Known {
			t.Errorf("removed: %+v", v)
		}
		pass(time.Second)
		if v := c.Verdict(named("a")); v.Up {
			t.Errorf("after the second failure: %+v", v)
		}
		if got := len(f.times(one)); got != 3 {
			t.Errorf("%d probes in 2.3 s, want 3", got)
		}
		if got := len(f.times(two)); got != 2 {
			t.Errorf("%d probes of the removed server, want 2", got)
		}
	})
}

// TestEditedCheckTakesNothingOut: neither another interval nor another type of check makes a server unknown.
func TestEditedCheckTakesNothingOut(t *testing.T) {
	slow := func(ctx context.Context) health.Result { time.Sleep(500 * time.Millisecond); return good }
	edits := map[string]func(*config.Check){
		"interval": func(c *config.Check) { c.Interval = 2 * time.Second },
		"password": func(c *config.Check) { c.Kind = config.MySQLCheck{User: "lvs_check", PasswordFile: "/etc/other"} },
		"type":     func(c *config.Check) { c.Kind = config.TCPCheck{} },
	}
	for name, edit := range edits {
		t.Run(name, func(t *testing.T) {
			world(t, func(t *testing.T, c *Checker, f *farm, d *diary) {
				c.Set([]Spec{spec("a", one)})
				pass(100 * time.Millisecond)
				f.set(one, slow)
				edited := mysqlCheck()
				edit(&edited)
				c.Set([]Spec{spec("a", one, edited)})
				pass(100 * time.Millisecond)
				if v := c.Verdict(named("a")); !v.Known || !v.Up {
					t.Errorf("before the edited check's first result: %+v", v)
				}
				if got := d.changes(); len(got) != 1 {
					t.Errorf("changes: %q", got)
				}
			})
		})
	}
}

// TestFirstCheckTakesNothingOut: a server without checks is up, and stays up until its first check has failed as often
// as any other check must.
func TestFirstCheckTakesNothingOut(t *testing.T) {
	world(t, func(t *testing.T, c *Checker, f *farm, d *diary) {
		c.Set([]Spec{spec("a", one, []config.Check{}...), spec("b", two, []config.Check{}...)})
		pass(100 * time.Millisecond)
		f.set(one, always(good))
		f.set(two, always(refused))
		c.Set([]Spec{spec("a", one, mysqlCheck()), spec("b", two, mysqlCheck())})
		pass(500 * time.Millisecond)
		for _, name := range []string{"a", "b"} {
			if v := c.Verdict(named(name)); !v.Known || !v.Up {
				t.Errorf("%s after one result: %+v", name, v)
			}
		}
		pass(time.Second)
		if v := c.Verdict(named("b")); v.Up {
			t.Errorf("b after the second failure: %+v", v)
		}
		if v := c.Verdict(named("a")); !v.Up {
			t.Errorf("a: %+v", v)
		}
	})
}

func TestUnknownKeepsStateAndWarnsOnce(t *testing.T) {
	world(t, func(t *testing.T, c *Checker, f *farm, d *diary) {
		c.Set([]Spec{spec("a", one)})
		pass(100 * time.Millisecond)
		f.set(one, always(denied))
		pass(10 * time.Second)
		if v := c.Verdict(named("a")); !v.Up || v.Code != health.Auth || v.Reason != "up: kept: mysql: access denied (last good 10s ago)" {
			t.Errorf("%+v", v)
		}
		f.set(one, nil)
		pass(time.Second)
		f.set(one, always(denied))
		pass(5 * time.Second)
		if warned, well := d.Count("level=WARN"), d.Count("check works again"); warned != 2 || well != 1 {
			t.Errorf("%d warnings and %d recoveries, want 2 and 1:\n%s", warned, well, d.String())
		}
	})
}

// TestHangingProbe: a probe that ignores its context counts as a time-out, and no second one is started.
func TestHangingProbe(t *testing.T) {
	world(t, func(t *testing.T, c *Checker, f *farm, d *diary) {
		c.Set([]Spec{spec("a", one), spec("b", two)})
		pass(100 * time.Millisecond)
		release := make(chan struct{})
		f.set(one, func(context.Context) health.Result { <-release; return good })
		pass(10 * time.Second)
		v := c.Verdict(named("a"))
		if v.Up || v.Code != health.Timeout || !strings.Contains(v.Reason, "the check has not returned for") {
			t.Errorf("%+v", v)
		}
		if f.twice != 0 {
			t.Errorf("%d probes of one identity ran next another", f.twice)
		}
		if got := len(f.times(two)); got != 11 {
			t.Errorf("the other server was probed %d times in 10.1 s, want 11", got)
		}
		f.set(one, nil)
		close(release)
		pass(3 * time.Second)
		if v := c.Verdict(named("a")); !v.Up {
			t.Errorf("after the probe returned: %+v", v)
		}
	})
}

// TestHangingProbeAcrossReload: a check that is removed and added again waits for its old probe.
func TestHangingProbeAcrossReload(t *testing.T) {
	world(t, func(t *testing.T, c *Checker, f *farm, d *diary) {
		release := make(chan struct{})
		f.set(one, func(context.Context) health.Result { <-release; return good })
		c.Set([]Spec{spec("a", one)})
		pass(100 * time.Millisecond)
		c.Set(nil)
		pass(time.Second)
		c.Set([]Spec{spec("a", one)})
		pass(5 * time.Second)
		if f.twice != 0 || len(f.times(one)) != 1 {
			t.Errorf("%d probes, %d at the same time", len(f.times(one)), f.twice)
		}
		close(release)
		pass(3 * time.Second)
		if v := c.Verdict(named("a")); !v.Up {
			t.Errorf("%+v", v)
		}
	})
}

// TestDeadServersDoNotDelayOthers: 1000 servers time out, and the checks of a live one are delayed by no more than the
// documented bound.
func TestDeadServersDoNotDelayOthers(t *testing.T) {
	world(t, func(t *testing.T, c *Checker, f *farm, d *diary) {
		var specs []Spec
		for i := range 1000 {
			server := fmt.Sprintf("10.78.%d.%d:3306", i/250, i%250+1)
			f.set(server, dead)
			specs = append(specs, spec(server, server))
		}
		specs = append(specs, spec("alive", one))
		c.Set(specs)
		pass(10 * time.Second)
		times := f.times(one)
		for i := 1; i < len(times); i++ {
			gap := times[i].Sub(times[i-1])
			if bound := time.Second + 1000/slots*slotTime + slotTime; gap > bound {
				t.Errorf("%v between two probes of the live server, want at most %v", gap, bound)
			}
		}
		if len(times) < 9 {
			t.Errorf("%d probes of the live server in 10 s", len(times))
		}
		if !ready(c) {
			t.Error("not ready")
		}
		if v := c.Verdict(named("alive")); !v.Up {
			t.Errorf("%+v", v)
		}
	})
}

func TestStartIsSpread(t *testing.T) {
	world(t, func(t *testing.T, c *Checker, f *farm, d *diary) {
		var specs []Spec
		for i := range 1000 {
			server := fmt.Sprintf("10.78.%d.%d:3306", i/250, i%250+1)
			specs = append(specs, spec(server, server))
		}
		c.Set(specs)
		pass(0)
		at := map[time.Duration]int{}
		pass(999 * time.Millisecond)
		f.mu.Lock()
		for _, times := range f.asked {
			at[times[0].Sub(d.began)]++
		}
		for when, n := range at {
			if n > atOnce {
				t.Errorf("%d probes start at %v", n, when)
			}
		}
		if len(f.asked) != 1000 || !ready(c) {
			t.Errorf("%d servers probed in the first second, ready %v", len(f.asked), ready(c))
		}
		f.mu.Unlock()
		pass(3 * time.Second)
		f.mu.Lock()
		defer f.mu.Unlock()
		second := map[time.Duration]int{} // in each tenth of a second
		for server, times := range f.asked {
			second[times[1].Sub(d.began)/(100*time.Millisecond)]++
			if gap := times[1].Sub(times[0]); gap < 500*time.Millisecond || gap > time.Second {
				t.Errorf("%s: %s between the first two probes", server, gap)
			}
			if gap := times[2].Sub(times[1]); gap != time.Second {
				t.Errorf("%s: %s between the next two, want the interval", server, gap)
			}
		}
		for tenth, n := range second {
			if n > 250 {
				t.Errorf("%d second probes in tenth %d", n, tenth)
			}
		}
	})
}

func TestReadyWaitsForTheFirstTimeout(t *testing.T) {
	world(t, func(t *testing.T, c *Checker, f *farm, d *diary) {
		pass(time.Second)
		if ready(c) {
			t.Error("ready before Set")
		}
		f.set(two, dead)
		c.Set([]Spec{spec("a", one), spec("b", two)})
		pass(799 * time.Millisecond)
		if ready(c) {
			t.Error("ready before the first time-out")
		}
		pass(time.Millisecond)
		if !ready(c) {
			t.Error("not ready after the first time-out")
		}
	})
}

// TestServedServerGoesAfterFall: the first failure of a server that is in the table at the start decides nothing, even
// if another virtual server shares the check. The checker is not ready before the check has decided.
func TestServedServerGoesAfterFall(t *testing.T) {
	world(t, func(t *testing.T, c *Checker, f *farm, d *diary) {
		f.set(two, dead)
		served := spec("b", two)
		served.Served = true
		c.Set([]Spec{spec("a", one), spec("other", two), served})
		pass(900 * time.Millisecond)
		for _, name := range []string{"b", "other"} {
			if v := c.Verdict(named(name)); v.Known || ready(c) {
				t.Errorf("%s after one failure: %+v; ready %t", name, v, ready(c))
			}
		}
		pass(time.Second)
		if v := c.Verdict(named("b")); !v.Known || v.Up || !ready(c) {
			t.Errorf("after the second failure: %+v; ready %t", v, ready(c))
		}
	})
}

func TestReadyWithNothingToCheck(t *testing.T) {
	world(t, func(t *testing.T, c *Checker, f *farm, d *diary) {
		c.Set(nil)
		pass(0)
		if !ready(c) {
			t.Error("not ready")
		}
	})
}

// TestStallIsNoTimeout: time-outs during a stall of the director are no evidence about servers. For a short time-out a
// short stall suffices.
func TestStallIsNoTimeout(t *testing.T) {
	for _, test := range []struct {
		timeout, stall time.Duration
		reason         string // empty: too short to count
	}{
		{800 * time.Millisecond, 10 * time.Second, "this director itself was stalled for 9."},
		{800 * time.Millisecond, 350 * time.Millisecond, "this director itself was stalled for 260ms"},
		{300 * time.Millisecond, 260 * time.Millisecond, "this director itself was stalled for 170ms"},
		{300 * time.Millisecond, 220 * time.Millisecond, ""},
	} {
		t.Run(fmt.Sprintf("%s of %s", test.stall, test.timeout), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fragile := mysqlCheck()
				fragile.Timeout, fragile.Fall = test.timeout, 1
				stallOnce(t, fragile, test.stall, test.reason)
			})
		})
	}
}

// stallOnce stalls the loop while the probe of a server times out.
func stallOnce(t *testing.T, fragile config.Check, length time.Duration, reason string) {
	f, d := newFarm(), &diary{began: time.Now()}
	stall := make(chan time.Duration, 1)
	onChange := func(subject config.Subject, before, v health.Verdict) {
		select {
		case s := <-stall:
			time.Sleep(s) // stalls the loop
		default:
		}
		d.note(subject, before, v)
	}
	c := New(f.probe, nil, slog.New(slog.NewTextHandler(d, nil)), onChange)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	c.Set([]Spec{spec("a", one, fragile), spec("b", two, fragile)})
	pass(500 * time.Millisecond)
	// At 1 s the probe of b stalls the loop, while the probe of a is running and times out.
	f.set(one, dead)
	f.set(two, func(context.Context) health.Result { time.Sleep(10 * time.Millisecond); return refused })
	stall <- length
	pass(max(length, fragile.Timeout) + 600*time.Millisecond)
	if v := c.Verdict(named("a")); v.Up != (reason != "") || v.Up && (v.Code != health.Local || !strings.Contains(v.Reason, reason)) {
		t.Errorf("%+v", v)
	}
	pass(2 * time.Second) // a is really dead
	if v := c.Verdict(named("a")); v.Up {
		t.Errorf("%+v", v)
	}
	cancel()
	<-done
}

func TestSecretsReachTheProbeAndFail(t *testing.T) {
	world(t, func(t *testing.T, c *Checker, f *farm, d *diary) {
		withFile, file := mysqlCheck(), "/etc/lvs-director/check.password"
		withFile.Kind = config.MySQLCheck{User: "lvs_check", PasswordFile: file}
		withFile.Source = "eth1"
		s := spec("a", one, withFile)
		c.Set([]Spec{s})
		pass(0)
		want := probe.Target{Address: netip.MustParseAddrPort(one), From: "eth1", Kind: withFile.Kind, Password: "secret of " + file}
		if diff := cmp.Diff([]probe.Target{want}, f.targets, cmp.Comparer(func(a, b probe.Target) bool { return a == b })); diff != "" {
			t.Errorf("targets (-want +got):\n%s", diff)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		d := &diary{}
		secrets := func(string) (string, error) { return "", fmt.Errorf("secret: chmod it") }
		c := New(newFarm().probe, secrets, slog.New(slog.NewTextHandler(d, nil)), nil)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		withFile, file := mysqlCheck(), "/etc/lvs-director/check.password"
		withFile.Kind = config.MySQLCheck{User: "lvs_check", PasswordFile: file}
		c.Set([]Spec{spec("a", one, withFile)})
		pass(0)
		if v := c.Verdict(named("a")); v.Known || v.Code != health.Secret || v.Reason != "unknown: mysql: secret: chmod it" {
			t.Errorf("%+v", v)
		}
		if !ready(c) {
			t.Error("not ready after an unknown result")
		}
		cancel()
		<-done
	})
}

// TestRunLetsProbesFinish: Run does not interrupt a running login at the end, unless it takes too long.
func TestRunLetsProbesFinish(t *testing.T) {
	for name, tt := range map[string]struct{ probe, want time.Duration }{
		"a moment":  {300 * time.Millisecond, 300 * time.Millisecond},
		"too long":  {5 * time.Second, drainTimeout},
		"hangs":     {time.Hour, 2 * drainTimeout},
		"none runs": {0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFarm()
				f.set(one, func(ctx context.Context) health.Result {
					if tt.probe == time.Hour { // ignores its context
						time.Sleep(tt.probe)
						return good
					}
					select {
					case <-time.After(tt.probe):
					case <-ctx.Done():
					}
					return good
				})
				c := New(f.probe, nil, slog.New(slog.DiscardHandler), nil)
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error)
				go func() { done <- c.Run(ctx) }()
				check := mysqlCheck()
				check.Interval, check.Timeout = time.Minute, 10*time.Second
				c.Set([]Spec{spec("a", one, check)})
				pass(0)
				cancel()
				began := time.Now()
				<-done
				if took := time.Since(began); took != tt.want {
					t.Errorf("Run ended after %v, want %v", took, tt.want)
				}
				time.Sleep(2 * time.Hour) // until the hanging probe returns
			})
		})
	}
}

// TestRenamedSubjectsAreNoChange: a change of names reports no verdict, and later changes start from the known one.
func TestRenamedSubjectsAreNoChange(t *testing.T) {
	world(t, func(t *testing.T, c *Checker, f *farm, d *diary) {
		<-c.Set([]Spec{spec("mysql/mysql1", one), spec("mysql/mysql2", two)})
		pass(0)
		before := len(d.changes())
		<-c.Set([]Spec{spec("mysql/a", one), spec("mysql/b", two)}) // the servers
		<-c.Set([]Spec{spec("db/b", two), spec("db/a", one)})       // the virtual server
		pass(5 * time.Second)
		if got := d.changes()[before:]; len(got) > 0 {
			t.Errorf("changes of names: %v", got)
		}
		<-c.Set([]Spec{spec("db/b", two), spec("other/c", one)}) // another server at the same place
		pass(0)
		if got := d.changes()[before:]; len(got) != 1 || !strings.Contains(got[0], "other/c: up") {
			t.Errorf("another server: %v", got)
		}
		f.set(two, always(refused))
		pass(5 * time.Second)
		if got := d.changes()[before:]; !strings.Contains(got[len(got)-1], "db/b: down") {
			t.Errorf("a server that fails: %v", got)
		}
	})
}

// TestSetIsCarriedOut: after waiting for a Set its subjects are known, even if another Set replaced it, and a renamed
// subject starts with the verdict of its server's check.
func TestSetIsCarriedOut(t *testing.T) {
	world(t, func(t *testing.T, c *Checker, f *farm, _ *diary) {
		f.set(two, always(refused))
		<-c.Set([]Spec{spec("mysql/mysql1", one), spec("mysql/mysql2", two)})
		pass(0)
		probes := len(f.times(one)) + len(f.times(two))
		overtaken := c.Set([]Spec{spec("mysql/mysql2", two), spec("mysql/mysql1", one)})
		last := c.Set([]Spec{spec("db/mysql1", one), spec("db/mysql2", two)})
		<-last
		<-overtaken
		if up, down := c.Verdict(named("db/mysql1")), c.Verdict(named("db/mysql2")); !up.Known || !up.Up || !down.Known || down.Up {
			t.Errorf("after the change of names: %+v, %+v", up, down)
		}
		if now := len(f.times(one)) + len(f.times(two)); now != probes {
			t.Errorf("%d probes after the change of names, %d before", now, probes)
		}
	})
}
