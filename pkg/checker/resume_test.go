package checker

import (
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
)

func as(user string, interval time.Duration) config.Check {
	c := mysqlCheck()
	c.Kind, c.Interval = config.MySQLCheck{User: user}, interval
	return c
}

// Two checks of one server with different users: after an edit a check continues from its own state, not from the
// other's.
func TestEditContinuesFromItsOwnState(t *testing.T) {
	c := New(nil, nil, slog.New(slog.DiscardHandler), func(_ config.Subject, _, _ health.Verdict) {})
	now := time.Now()
	c.apply([]Spec{spec("mysql/mysql1", one, as("a", time.Second), as("b", time.Second))}, now)
	step(c, "a", good)
	step(c, "b", refused)
	c.apply([]Spec{spec("mysql/mysql1", one, as("a", 2*time.Second))}, now) // b goes
	if v := c.Verdict(named("mysql/mysql1")); !v.Up {
		t.Errorf("after the failing check was removed: %+v", v)
	}
	c.apply([]Spec{spec("mysql/mysql1", one, as("a", 3*time.Second), as("c", time.Second))}, now)
	if v := c.Verdict(named("mysql/mysql1")); !v.Up {
		t.Errorf("after a check was added: %+v, want up", v)
	}
}

// step applies a result to the checks of a user.
func step(c *Checker, user string, r health.Result) {
	for k := range c.checks.all() {
		if kind, ok := k.id.Check.Kind.(config.MySQLCheck); ok && kind.User == user {
			k.state, _ = k.state.Step(time.Now(), r)
			for _, s := range k.users {
				c.publish(s)
			}
		}
	}
}

// No reload changes a verdict without a result, except by removing the check that kept a server down.
func TestReloadsChangeNoVerdict(t *testing.T) {
	names := []string{"mysql/mysql1", "mysql/mysql2", "web/web1"}
	addresses := map[string]string{names[0]: one, names[1]: two, names[2]: "10.77.0.13:80"}
	checks := rapid.Custom(func(t *rapid.T) config.Check {
		kind := rapid.SampledFrom([]config.CheckKind{
			config.MySQLCheck{User: "a"}, config.MySQLCheck{User: "b"}, config.MySQLCheck{User: "b", PasswordFile: "/x"}, config.TCPCheck{},
		}).Draw(t, "kind")
		return config.Check{
			Kind: kind, Interval: time.Duration(rapid.IntRange(1, 3).Draw(t, "interval")) * time.Second,
			Timeout: 500 * time.Millisecond, Rise: rapid.IntRange(1, 3).Draw(t, "rise"), Fall: rapid.IntRange(1, 3).Draw(t, "fall"),
			Port: rapid.SampledFrom([]uint16{0, 9200}).Draw(t, "port"),
		}
	})
	files := rapid.Custom(func(t *rapid.T) (all []Spec) {
		for _, name := range names {
			if rapid.IntRange(0, 4).Draw(t, "there") > 0 {
				some := rapid.SliceOfNDistinct(checks, 0, 3, func(c config.Check) question {
					return question{netip.AddrPortFrom(netip.Addr{}, c.Port), c.Kind, false}
				}).Draw(t, "checks")
				all = append(all, spec(name, addresses[name], append([]config.Check{}, some...)...))
			}
		}
		return all
	})
	full := health.Result{Code: health.ServerFull, Class: health.Full, Cause: "full"}
	rapid.Check(t, func(t *rapid.T) {
		c := New(nil, nil, slog.New(slog.DiscardHandler), func(_ config.Subject, _, _ health.Verdict) {})
		now := time.Now()
		c.apply(files.Draw(t, "file"), now)
		for range rapid.IntRange(1, 6).Draw(t, "reloads") {
			for _, k := range slices.SortedFunc(c.checks.all(), func(a, b *check) int { return int(a.number) - int(b.number) }) {
				for range rapid.IntRange(0, 3).Draw(t, "results") {
					now = now.Add(time.Second)
					k.state, _ = k.state.Step(now, rapid.SampledFrom([]health.Result{good, refused, denied, full}).Draw(t, "result"))
				}
			}
			before := c.subjects
			verdicts := map[config.Subject]health.Verdict{}
			for n := range before.all {
				verdicts[before.all[n].spec.Subject] = before.all[n].verdict()
			}
			next := files.Draw(t, "file")
			c.apply(next, now)
			for _, spec := range next {
				old := before.of(spec.Subject)
				if old == nil {
					continue
				}
				was, is := verdicts[spec.Subject], c.subjects.of(spec.Subject).verdict()
				lost := len(old.gone(spec)) > 0 && len(fresh(old, spec)) == 0 // a check was removed and none replaces it
				if same := was.Known == is.Known && was.Up == is.Up && was.Full == is.Full; !same && !lost {
					t.Fatalf("%s: %s, and after the reload %s", spec.Subject, text(was), text(is))
				}
				if lost && is.Known && !is.Up && !(was.Known && !was.Up) {
					t.Fatalf("%s: %s, and after a check was removed %s", spec.Subject, text(was), text(is))
				}
			}
		}
	})
}

// fresh returns the checks of a Spec with questions that its subject did not have before.
func fresh(old *subject, next Spec) (all []config.Check) {
	for _, c := range next.Checks {
		if !slices.ContainsFunc(old.checks, func(k *check) bool { return k.question() == asks(next, c) }) {
			all = append(all, c)
		}
	}
	return all
}

func text(v health.Verdict) string {
	return fmt.Sprintf("known %t, up %t, full %t", v.Known, v.Up, v.Full)
}
