package plan

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// flapping returns the instance "outer" of vipFile with delays, and the links of which the first one may be without a carrier,
// or down, or missing.
func flapping(up, down time.Duration) (Inputs, func(state string) []kernel.Link) {
	cfg := vipFile()
	cfg.Instances = cfg.Instances[:1]
	cfg.Instances[0].Tracks = nil
	cfg.Instances[0].InterfaceDelays = config.Delays{Up: up, Down: down}
	return inputs(cfg), func(state string) []kernel.Link {
		all := slices.Clone(links)
		switch state {
		case "no carrier":
			all[0].Carrier = false
		case "down":
			all[0].Up, all[0].Carrier = false, false
		case "missing":
			all = all[1:]
		}
		return all
	}
}

// TestSteadiness: a carrier that is lost for less than interface_down_delay is no fault, but shown; one that is lost for longer
// is one. After that the director preempts nobody for interface_up_delay. What is set down or removed counts at once.
func TestSteadiness(t *testing.T) {
	in, with := flapping(10*time.Second, 2*time.Second)
	start := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	p := Of(in)
	for _, step := range []struct {
		at                        float64
		state                     string
		fault, notReady, unsteady string // a part of each
		wait                      float64
	}{
		{0, "works", "", "", "", 0},
		{1, "no carrier", "", "", "that counts after 2s (interface_down_delay)", 2},
		{2, "no carrier", "", "", "that counts after 2s (interface_down_delay)", 1},
		{2.5, "works", "", "", "lost its carrier a moment ago", 3},
		{4, "works", "", "", "lost its carrier a moment ago", 1.5},
		{4.5, "no carrier", "", "", "that counts after 2s", 2},
		{5, "works", "", "", "a moment ago", 3},
		{8, "works", "", "", "", 0},
		{9, "no carrier", "", "", "that counts", 2},
		{11, "no carrier", "eth0 has no carrier", "", "", 0},
		{12, "works", "", "must keep it for 10s (interface_up_delay)", "", 10},
		{21, "no carrier", "eth0 has no carrier", "", "", 0},
		{22, "works", "", "must keep it for 10s", "", 10},
		{31.5, "works", "", "must keep it for 10s", "", .5},
		{32, "works", "", "", "", 0},
		{33, "down", "eth0 is down", "", "", 0},
		{34, "works", "", "must keep it for 10s", "", 10},
		{44, "works", "", "", "", 0},
		{45, "no carrier", "", "", "that counts", 2},
		{46, "missing", "eth0 does not exist", "", "", 0},
	} {
		in.Links = with(step.state)
		var wait time.Duration
		in.Steadiness, wait = in.Steadiness.Next(p.Instances, in.Links, start.Add(time.Duration(step.at*float64(time.Second))))
		p = Of(in)
		i := p.Instances[0]
		for _, one := range []struct{ what, got, want string }{{"fault", i.Fault(), step.fault}, {"not ready", i.NotReady, step.notReady}, {"unsteady", i.Unsteady, step.unsteady}} {
			if (one.got == "") != (one.want == "") || !strings.Contains(one.got, one.want) {
				t.Errorf("at %v s, %s: %s: %q, want %q", step.at, step.state, one.what, one.got, one.want)
			}
		}
		if want := time.Duration(step.wait * float64(time.Second)); wait != want {
			t.Errorf("at %v s, %s: changes in %v, want %v", step.at, step.state, wait, want)
		}
		if again := p.Judged(in).Instances[0]; again.Fault() != i.Fault() || again.NotReady != i.NotReady || again.Unsteady != i.Unsteady {
			t.Errorf("at %v s: judged anew it is %+v", step.at, again)
		}
	}
}

// TestSteadinessProperties: whatever an interface does, an instance is in FAULT if and only if the interface is set down or
// missing, or has had no carrier for interface_down_delay; it must not preempt if and only if its interface works again for less
// than interface_up_delay; a loss that does not count is shown; and nothing changes later than announced.
func TestSteadinessProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		second := func(what string) time.Duration {
			return time.Duration(rapid.IntRange(0, 5).Draw(t, what)) * time.Second
		}
		up, down := second("up"), second("down")
		in, with := flapping(up, down)
		p := Of(in)
		now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
		since, state, faulty := now, "works", false
		var next time.Duration
		for n := range rapid.IntRange(1, 40).Draw(t, "steps") {
			if to := rapid.SampledFrom([]string{"works", "works", "no carrier", "no carrier", "down", "missing"}).Draw(t, "state"); to != state && n > 0 {
				// A change of kind of a failure goes on with the failure.
				if (to == "works") != (state == "works") {
					since = now
				}
				state = to
			}
			in.Links = with(state)
			in.Steadiness, next = in.Steadiness.Next(p.Instances, in.Links, now)
			p = Of(in)
			i := p.Instances[0]
			delays := in.Config.Instances[0].InterfaceDelays != config.Delays{}
			lasted := now.Sub(since)
			switch {
			case state == "works":
				faulty = faulty && lasted < up
			case !delays, state != "no carrier", lasted >= down:
				faulty = true
			}
			if want := state != "works" && faulty; i.LinkFault() != want {
				t.Fatalf("%s for %s, delays %s %s: fault %q", state, lasted, up, down, i.Fault())
			}
			if want := state == "works" && faulty && up > 0; (i.NotReady != "") != want {
				t.Fatalf("%s for %s, delays %s %s: not ready %q", state, lasted, up, down, i.NotReady)
			}
			if state == "no carrier" && !i.LinkFault() && i.Unsteady == "" {
				t.Fatalf("no carrier for %s, and neither a fault nor a problem", lasted)
			}
			pass := second("pass")
			if next > 0 && pass > next {
				pass = next
			}
			now = now.Add(pass)
		}
	})
}
