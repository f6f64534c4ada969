package checker

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/probe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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

// TestHangingDisk: a check that asks no server and does not return is no evidence about one.
func TestHangingDisk(t *testing.T) {
	for kind, code := range map[config.CheckKind]health.Code{
		config.FileCheck{Path: "/disk/drain"}: health.Unreadable, config.CommandCheck{Argv: "/disk/check"}: health.Stuck,
	} {
		t.Run(string(kind.Type()), func(t *testing.T) {
			world(t, func(t *testing.T, c *Checker, f *farm, d *diary) {
				k := mysqlCheck()
				k.Kind = kind
				c.Set([]Spec{spec("mysql/a", one, k)})
				pass(100 * time.Millisecond)
				release := make(chan struct{})
				defer func() { close(release); pass(time.Second) }()
				f.set(one, func(context.Context) health.Result { <-release; return good })
				pass(30 * time.Second)
				if v := c.Verdict(named("mysql/a")); !v.Up || v.Code != code || !strings.Contains(v.Reason, "has not returned for") {
					t.Errorf("%+v", v)
				}
			})
		})
	}
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
