package checker

import (
	"net/netip"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/health"
)

// TestRetry: after the first failure a check is repeated at its retry_interval until it is decided.
func TestRetry(t *testing.T) {
	world(t, func(t *testing.T, c *Checker, f *farm, d *diary) {
		s := spec("mysql/mysql1", one)
		s.Checks[0].Fall, s.Checks[0].Retry = 3, 100*time.Millisecond
		c.Set([]Spec{s})
		pass(500 * time.Millisecond)
		f.set(one, always(refused))
		pass(600 * time.Millisecond) // checks at 1 s and 1.1 s
		if v := c.Verdict(named("mysql/mysql1")); !v.Up || !v.Doubtful {
			t.Errorf("after two failures: %+v", v)
		}
		pass(150 * time.Millisecond)
		if v := c.Verdict(named("mysql/mysql1")); v.Up || v.Code != health.Refused {
			t.Errorf("after three failures: %+v", v)
		}
		before := f.count(one)
		pass(3 * time.Second) // it is down: at its interval again
		if n := f.count(one) - before; n != 3 {
			t.Errorf("%d checks in 3 s of a server that is down, want 3", n)
		}
	})
}

// TestWarmup: the first check waits.
func TestWarmup(t *testing.T) {
	world(t, func(t *testing.T, c *Checker, f *farm, d *diary) {
		s := spec("mysql/mysql1", one)
		s.Checks[0].Warmup = 5 * time.Second
		c.Set([]Spec{s})
		pass(4900 * time.Millisecond)
		if n := f.count(one); n != 0 {
			t.Errorf("%d checks within the warm-up", n)
		}
		pass(200 * time.Millisecond)
		if n := f.count(one); n != 1 || !c.Verdict(named("mysql/mysql1")).Up {
			t.Errorf("%d checks after it", n)
		}
	})
}

// count returns how often a server was asked.
func (f *farm) count(server string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.asked[netip.MustParseAddrPort(server)])
}
