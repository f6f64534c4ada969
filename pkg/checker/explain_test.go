package checker

import (
	"context"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/probe"
)

// TestExplain: failures are kept longer than successes, which are only counted.
func TestExplain(t *testing.T) {
	world(t, func(t *testing.T, c *Checker, f *farm, d *diary) {
		c.Set([]Spec{spec("mysql/mysql1", one)})
		pass(1500 * time.Millisecond) // two good ones
		f.set(one, always(refused))
		pass(10 * time.Second) // ten bad ones
		f.set(one, nil)
		pass(100 * time.Second)
		e, found, err := c.Explain(t.Context(), named("mysql/mysql1"))
		if err != nil || !found || len(e.Checks) != 1 || !e.Verdict.Up {
			t.Fatalf("%+v %t %v", e, found, err)
		}
		k := e.Checks[0]
		if k.Total != 112 || k.Good != 102 || k.Inconclusive != 0 || len(k.Failures) != failuresKept || k.Last.Class != health.Good || k.Last.At.IsZero() {
			t.Errorf("%+v", k)
		}
		for i, r := range k.Failures {
			if r.Code != health.Refused || i > 0 && !r.At.After(k.Failures[i-1].At) {
				t.Errorf("failure %d: %+v", i, r)
			}
		}
		if _, found, err := c.Explain(t.Context(), named("mysql/nobody")); found || err != nil {
			t.Errorf("an unknown server: %t %v", found, err)
		}
	})
}

// TestOnce: a check that is made by hand changes no state.
func TestOnce(t *testing.T) {
	world(t, func(t *testing.T, c *Checker, f *farm, d *diary) {
		c.Set([]Spec{spec("mysql/mysql1", one)})
		pass(100 * time.Millisecond)
		f.set(one, always(refused))
		e, _, _ := c.Explain(t.Context(), named("mysql/mysql1"))
		trace := probe.NewTrace()
		for range 3 {
			if r, err := c.Once(t.Context(), e.Checks[0], trace); r.Code != health.Refused || err != nil {
				t.Errorf("%+v, %v", r, err)
			}
		}
		if last := f.targets[len(f.targets)-1]; last.Trace != trace {
			t.Errorf("%+v", last)
		}
		if v := c.Verdict(named("mysql/mysql1")); !v.Up || v.Doubtful {
			t.Errorf("%+v", v)
		}
	})
}

// TestOnceHangs: a check by hand ends in time although its probe does not, and is not made again meanwhile.
func TestOnceHangs(t *testing.T) {
	world(t, func(t *testing.T, c *Checker, f *farm, d *diary) {
		c.Set([]Spec{spec("mysql/mysql1", one)})
		pass(100 * time.Millisecond)
		e, _, _ := c.Explain(t.Context(), named("mysql/mysql1"))
		release := make(chan struct{})
		f.set(one, func(context.Context) health.Result { <-release; return good })
		begun := time.Now()
		r, err := c.Once(t.Context(), e.Checks[0], nil)
		if want := e.Checks[0].Check.Timeout + grace; time.Since(begun) != want || r.Code != health.Timeout || err != nil {
			t.Errorf("after %s, want %s: %+v, %v", time.Since(begun), want, r, err)
		}
		if r, err := c.Once(t.Context(), e.Checks[0], nil); err == nil {
			t.Errorf("a second one: %+v", r)
		}
		close(release)
		pass(time.Second)
		if r, err := c.Once(t.Context(), e.Checks[0], nil); r.Code != health.OK || err != nil {
			t.Errorf("afterwards: %+v, %v", r, err)
		}
	})
}

// Explain does not wait for a checker that does not run.
func TestExplainWithoutALoop(t *testing.T) {
	c := New(nil, nil, nil, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := c.Explain(ctx, named("a/b")); err == nil {
		t.Error("no error")
	}
}

// TestTotals: all results are counted by class, and how long they took by type.
func TestTotals(t *testing.T) {
	world(t, func(t *testing.T, c *Checker, f *farm, d *diary) {
		c.Set([]Spec{spec("mysql/mysql1", one), spec("mysql/mysql2", two)})
		pass(1500 * time.Millisecond) // two good ones each
		f.set(one, always(refused))
		pass(10 * time.Second)
		totals, err := c.Totals(t.Context())
		if err != nil || len(totals.Subjects) != 2 || len(totals.Durations) != 1 {
			t.Fatalf("%+v, %v", totals, err)
		}
		if got := totals.Subjects[0]; got.Subject != named("mysql/mysql1") || got.Good != 2 || got.Bad != 10 || got.Inconclusive != 0 {
			t.Errorf("%+v", got)
		}
		if got := totals.Subjects[1]; got.Good != 12 || got.Bad != 0 {
			t.Errorf("%+v", got)
		}
		var all uint64
		var last time.Duration
		for bound, n := range totals.Durations[0].Buckets {
			all, last = all+n, bound
		}
		if all != 24 || last != 0 {
			t.Errorf("%d results, the last bound is %s", all, last)
		}
	})
	var d Durations
	for _, took := range []time.Duration{-1, 0, time.Millisecond, time.Millisecond + 1, time.Hour} {
		d.add(took)
	}
	if d.buckets[0] != 3 || d.buckets[1] != 1 || d.buckets[len(durationBounds)] != 1 || d.Sum != time.Hour+2*time.Millisecond+1 {
		t.Errorf("%+v", d)
	}
	stopped := New(nil, nil, nil, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := stopped.Totals(ctx); err == nil {
		t.Error("no error of a checker that does not answer")
	}
}
