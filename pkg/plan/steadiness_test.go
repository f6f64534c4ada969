package plan

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
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
		{2.5, "works", "", "a moment ago, and must keep it for 3s", "lost its carrier a moment ago", 3},
		{4, "works", "", "a moment ago, and must keep it for 3s", "lost its carrier a moment ago", 1.5},
		{4.5, "no carrier", "", "", "that counts after 2s", 2},
		{5, "works", "", "a moment ago, and must keep it for 3s", "a moment ago", 3},
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

// TestFlapping: an interface that loses its carrier again and again, each time for less than interface_down_delay, makes the
// director worse than any other when it has had its carrier again for the fifth time in a row, until it has kept it for 3 s. It
// preempts nobody before it has kept it for interface_up_delay, either.
func TestFlapping(t *testing.T) {
	in, with := flapping(10*time.Second, 2*time.Second)
	p := Of(in)
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	look := func(state string, after time.Duration) (Instance, time.Duration) {
		now = now.Add(after)
		in.Links = with(state)
		next, wait := in.Steadiness.Next(p.Instances, in.Links, now)
		in.Steadiness = next
		p = Of(in)
		if again := p.Judged(in).Instances[0]; again.Unfit != p.Instances[0].Unfit {
			t.Errorf("judged anew it is unfit because %q, before because %q", again.Unfit, p.Instances[0].Unfit)
		}
		return p.Instances[0], wait
	}
	expect := func(what string, i Instance, fault, unfit, notReady bool) {
		t.Helper()
		if i.LinkFault() != fault || (i.Unfit != "") != unfit || (i.NotReady != "") != notReady {
			t.Errorf("%s: fault %q, unfit %q, not ready %q", what, i.Fault(), i.Unfit, i.NotReady)
		}
	}
	flap := func(times int) (i Instance, wait time.Duration) {
		for range times {
			look("no carrier", time.Second)
			i, wait = look("works", time.Second)
		}
		return i, wait
	}
	look("works", 0)
	i, _ := flap(4)
	expect("after four losses", i, false, false, true)
	i, _ = look("works", 3*time.Second)
	expect("it is good again", i, false, false, false)
	i, _ = flap(4)
	expect("four of another row", i, false, false, true)
	i, wait := flap(1)
	expect("the fifth in a row", i, false, false, true)
	if wait != yieldsAfter {
		t.Errorf("changes in %v", wait)
	}
	i, wait = look("works", yieldsAfter)
	expect("the fifth in a row, and the carrier stays for a moment", i, false, true, true)
	if wait != 3*time.Second-yieldsAfter {
		t.Errorf("changes in %v", wait)
	}
	i, _ = look("no carrier", time.Second)
	expect("without a carrier", i, false, true, false) // the gate is shut
	i, _ = look("works", time.Second)
	expect("the sixth", i, false, true, true)
	i, wait = look("works", 3*time.Second)
	expect("after 3 s", i, false, false, true)
	if wait != 7*time.Second {
		t.Errorf("changes in %v", wait)
	}
	flap(1)
	i, _ = look("no carrier", yieldsAfter/2)
	expect("one more before interface_up_delay, and another at once", i, false, true, false)
	look("works", time.Second)
	i, _ = look("works", 10*time.Second)
	expect("after interface_up_delay", i, false, false, false)
	i, _ = flap(1)
	expect("the first of another row", i, false, false, true)
	flap(4)
	look("no carrier", time.Second)
	i, _ = look("no carrier", 2*time.Second)
	expect("a loss that counts", i, true, false, false)
	i, _ = look("works", time.Second)
	expect("afterwards", i, false, false, true)
}

// TestFlappingHidesNoServers: that the director has no way to its real servers counts again once the carrier has stayed for 3 s.
func TestFlappingHidesNoServers(t *testing.T) {
	for _, tt := range []struct {
		name string
		s    steady
		want string
	}{
		{"settled", steady{}, "no way to the real servers"},
		{"lost a moment ago", steady{unsettled: true, works: true, losses: 1}, ""},
		{"flaps", steady{unsettled: true, works: true, losses: flapsAfter, yields: true}, "again and again"},
		{"has flapped", steady{works: true, losses: flapsAfter}, "no way to the real servers"},
	} {
		cfg := vipFile()
		cfg.VirtualServers = []config.VirtualServer{{
			Name: "a", Protocol: "tcp", Address: netip.MustParseAddr("10.77.0.100"), Port: 3306, RealServers: []config.RealServer{{Name: "1", Weight: 1}},
		}}
		cfg.Instances[0].InterfaceDelays = config.Delays{Down: 2 * time.Second}
		in := inputs(cfg)
		tt.s.debounce = health.NewDebounce(0, 2*time.Second).Step(time.Time{}, true)
		in.Steadiness = Steadiness{cfg.Instances[0].ID(): tt.s}
		in.Verdicts = VerdictsOf(map[config.Subject]health.Verdict{
			{Server: config.ServerID{Service: "a", Server: "1"}}: {Known: true, Up: true, NoNetwork: true},
		})
		if got := named(Of(in), "outer").Unfit; (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestSteadinessProperties: whatever an interface does, an instance is in FAULT if and only if the interface is set down or
// missing, or has had no carrier for interface_down_delay; it must not preempt if and only if its interface works again for less
// than interface_up_delay, or for less than 3 s after a loss that did not count; it is unfit only after five of these in a row;
// a loss that does not count is shown; and nothing changes later than announced.
func TestSteadinessProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		second := func(what string) time.Duration {
			return time.Duration(rapid.IntRange(0, 5).Draw(t, what)) * time.Second
		}
		up, down := second("up"), second("down")
		in, with := flapping(up, down)
		p := Of(in)
		now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
		since, state, faulty, lost, row, yields := now, "works", false, false, 0, false
		var next time.Duration
		for n := range rapid.IntRange(1, 40).Draw(t, "steps") {
			if to := rapid.SampledFrom([]string{"works", "works", "no carrier", "no carrier", "down", "missing"}).Draw(t, "state"); to != state && n > 0 {
				// A change of kind of a failure goes on with the failure.
				if (to == "works") != (state == "works") {
					since = now
					switch {
					case to != "works":
						lost = true
					case lost: // it did not count
						row++
					}
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
			yields = row >= flapsAfter && (yields || state != "works" || lasted >= yieldsAfter) && (state != "works" || lasted < 3*time.Second)
			if faulty || state == "works" && lasted >= 3*time.Second && (row < flapsAfter || lasted >= up) {
				lost, row, yields = false, 0, false
			}
			if want := state != "works" && faulty; i.LinkFault() != want {
				t.Fatalf("%s for %s, delays %s %s: fault %q", state, lasted, up, down, i.Fault())
			}
			if (i.Unfit != "") != yields {
				t.Fatalf("%s for %s after %d losses: unfit %q", state, lasted, row, i.Unfit)
			}
			if want := state == "works" && (faulty && up > 0 || lost); (i.NotReady != "") != want {
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
