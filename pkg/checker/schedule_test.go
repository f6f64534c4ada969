package checker

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
)

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
