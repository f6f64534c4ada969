package election

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// TestSet: each Set tells the machine what differs from the last one, restrictions first.
func TestSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newLAN().join(t, "a", "10.77.0.2", 150)
		synctest.Wait()
		base := a.desired.last
		other := base
		other.Params.Priority = 90
		for _, step := range []struct {
			name string
			edit func(*Desired)
			want []string
		}{
			{"nothing", func(*Desired) {}, nil},
			{"a fault, and not ready", func(d *Desired) { d.Fault, d.NotReady = "no carrier", "no server" }, []string{`not_ready "no server"`, `fault "no carrier"`}},
			{"another fault", func(d *Desired) { d.Fault, d.NotReady = "down", "no server" }, []string{`fault "down"`}},
			{"the fault ends first", func(d *Desired) { d.NotReady = "no server yet" }, []string{`not_ready "no server yet"`, "recover"}},
			{"ready", func(*Desired) {}, []string{"ready"}},
			{"unfit, and then not ready", func(d *Desired) { d.Unfit = "no way" }, []string{`degraded "no way"`}},
			{"fit, but not ready", func(d *Desired) { d.NotReady = "no server" }, []string{`not_ready "no server"`, `degraded ""`}},
			{"ready again", func(*Desired) {}, []string{"ready"}},
			{"another priority", func(d *Desired) { *d = other }, []string{"reconfigure " + other.Params.String()}},
			{"other VIPs", func(d *Desired) { *d = other; d.Addresses = []netip.Addr{netip.MustParseAddr("10.77.0.99")} }, []string{"reconfigure " + other.Params.String()}},
		} {
			before := strings.Count(a.Record(), "\n")
			d := base
			step.edit(&d)
			a.Set(d)
			synctest.Wait()
			var got []string
			for _, line := range strings.Split(a.Record(), "\n")[before:] {
				if at, event, ok := strings.Cut(line, " "); ok && !strings.HasPrefix(at, "\t") {
					got = append(got, event)
				}
			}
			if diff := cmp.Diff(step.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", step.name, diff)
			}
		}
		a.stop()
	})
}

// TestDegradedForTwoReasons: a stall that ends does not make a director fit that has no way to its real servers.
func TestDegradedForTwoReasons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newLAN().join(t, "a", "10.77.0.2", 150)
		synctest.Wait()
		base := a.desired.last
		unfit := base
		unfit.Unfit = "no way"
		before := strings.Count(a.Record(), "\n")
		for _, tell := range []func(){
			func() { a.Stalled("stalled") }, func() { a.Set(unfit) }, func() { a.Stalled("") }, func() { a.Stalled("again") }, func() { a.Set(base) },
			func() { a.Stalled("") },
		} {
			tell()
			synctest.Wait()
		}
		var got []string
		for _, line := range strings.Split(a.Record(), "\n")[before:] {
			if _, event, ok := strings.Cut(line, " degraded "); ok {
				got = append(got, event)
			}
		}
		want := []string{`"stalled"`, `"stalled; no way"`, `"no way"`, `"again; no way"`, `"again"`, `""`}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s\n%s", diff, a.Record())
		}
		a.stop()
	})
}
