package checker

import (
	"strings"
	"testing"
	"time"
)

// TestSuspendedChecks: a suspended check makes no probe, and nothing is known about its server. Then it starts at once, and one bad
// result does not take out a server that was up. A check that is shared with another server goes on.
func TestSuspendedChecks(t *testing.T) {
	world(t, func(t *testing.T, c *Checker, f *farm, d *diary) {
		set := func(suspended bool) {
			a, b := spec("a", one), spec("b", two)
			a.Suspended, b.Suspended = suspended, suspended
			c.Set([]Spec{a, b, spec("shares", two)})
		}
		set(true)
		pass(3500 * time.Millisecond)
		if v := c.Verdict(named("a")); v.Known || v.Code != "" || !strings.Contains(v.Reason, "suspended") || len(f.times(one)) > 0 || !ready(c) {
			t.Errorf("at the start: %+v, %d probes, ready %t", v, len(f.times(one)), ready(c))
		}
		if v := c.Verdict(named("b")); v.Known || !c.Verdict(named("shares")).Up {
			t.Errorf("shared: %+v, %+v", v, c.Verdict(named("shares")))
		}
		set(false)
		pass(0)
		if !c.Verdict(named("a")).Up || len(f.times(one)) != 1 || !c.Verdict(named("b")).Up {
			t.Errorf("resumed: %+v, %d probes; %+v", c.Verdict(named("a")), len(f.times(one)), c.Verdict(named("b")))
		}
		set(true)
		f.set(one, always(refused))
		pass(5 * time.Second)
		if v := c.Verdict(named("a")); v.Known || len(f.times(one)) != 1 {
			t.Errorf("suspended again: %+v, %d probes", v, len(f.times(one)))
		}
		set(true)
		set(false)
		pass(900 * time.Millisecond)
		if v := c.Verdict(named("a")); v.Known || v.Code == "" {
			t.Errorf("one bad result: %+v", v)
		}
		pass(time.Second)
		if v := c.Verdict(named("a")); !v.Known || v.Up {
			t.Errorf("two bad results: %+v", v)
		}
		set(true)
		pass(0)
		set(false)
		pass(0)
		if v := c.Verdict(named("a")); !v.Known || v.Up {
			t.Errorf("it was down before, and one bad result is enough: %+v", v)
		}
	})
}
