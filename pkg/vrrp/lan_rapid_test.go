package vrrp

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// genLAN draws two to four directors of one virtual router.
func genLAN(t *rapid.T, preempt *rapid.Generator[bool]) *lan {
	l := newLAN()
	version := uint8(rapid.IntRange(2, 3).Draw(t, "version"))
	interval := sec
	if version == 3 {
		interval = time.Duration(rapid.IntRange(10, 200).Draw(t, "interval")) * centisecond
	}
	// With 1, a delay of an advert that is longer than the skew leads to a second MASTER.
	down := rapid.SampledFrom([]uint8{0, 2, 3, 10, 100}).Draw(t, "down_adverts")
	priorities := rapid.OneOf(rapid.SampledFrom([]uint8{50, 100, 101, 254, PriorityOwner}), rapid.Uint8Range(1, 254))
	for i := range rapid.IntRange(2, 4).Draw(t, "directors") {
		l.add(fmt.Sprintf("n%d", i), Params{
			VRID: 51, Version: version, Priority: priorities.Draw(t, "priority"), AdvertInterval: interval,
			Preempt: preempt.Draw(t, "preempt"), Source: sourceOf(i), DownAdverts: down,
			HigherPrioNoAdvert: rapid.Bool().Draw(t, "higher_prio_no_advert"), LowerPrioNoAdvert: rapid.Bool().Draw(t, "lower_prio_no_advert"),
		})
	}
	// Directors of two camps refuse each other's adverts, for instance during a change of the protocol version.
	if rapid.IntRange(0, 3).Draw(t, "camps") == 0 {
		camp := map[*node]bool{}
		for _, n := range l.nodes {
			camp[n] = rapid.Bool().Draw(t, "camp")
		}
		l.refuses = func(to, from *node) bool { return camp[to] != camp[from] }
	}
	// Frames take up to 5 ms, so that they can be reordered.
	l.delay = func(_, _ *node) time.Duration {
		return time.Duration(rapid.IntRange(10, 5000).Draw(t, "delay")) * time.Microsecond
	}
	return l
}

var allEvents = []Event{
	Startup{},
	Tick{},
	Shutdown{},
	Ready{},
	NotReady{Reason: "checks"},
	NotReady{Reason: "pool", Empty: true},
	Faulted{Reason: "link"},
	Recover{},
	Lost{Reason: "lease"},
	Degraded{Reason: "table"},
	Degraded{},
	HandOver{Reason: "an operator"},
	HandOver{Reason: "a stop", Resign: true},
	TakeBack{},
	Succeeded{},
	Gate{Reason: "gateway"},
	Gate{},
	PeerLost{Source: sourceOf(0), Silent: 30 * ms},
	PeerLost{Source: sourceOf(1), Silent: 30 * ms},
	TakeOver{},
	StepDown{Reason: "the other"},
	StepDown{How: WithAdvert, Reason: "the other"},
	StepDown{How: WithResignation, Reason: "the other"},
	Reannounce{},
	Startup{Delay: 10 * sec},
	Deaf{For: 10 * sec},
	Hearing{},
}

// disturb runs the segment for a while with packet loss, partitions and any event that a director can have.
func disturb(t *rapid.T, l *lan) {
	var cut []bool
	lossy := rapid.IntRange(0, 60).Draw(t, "loss in percent")
	l.drops = func(from, to *node) bool {
		i, j := slices.Index(l.nodes, from), slices.Index(l.nodes, to)
		return cut[i] != cut[j] || rapid.IntRange(1, 100).Draw(t, "die") <= lossy
	}
	for range rapid.IntRange(1, 12).Draw(t, "turns") {
		cut = cut[:0]
		for range l.nodes {
			cut = append(cut, rapid.Bool().Draw(t, "side"))
		}
		n := rapid.SampledFrom(l.nodes).Draw(t, "director")
		l.send(n, rapid.SampledFrom(allEvents).Draw(t, "event"))
		l.run(l.now + time.Duration(rapid.IntRange(1, 5000).Draw(t, "pause"))*ms)
		if wrong := l.wrong(); wrong != "" {
			t.Fatalf("at %s: %s\n%s", l.now, wrong, l.log.String())
		}
	}
}

// healed puts every director into service on a working segment, some of them degraded, and returns how long an election
// may take then: the master-down interval of the lowest priority, one more advert for two directors that took over at the
// same moment, and the frame delays.
func healed(l *lan, degraded *rapid.Generator[bool], t *rapid.T) time.Duration {
	l.drops = func(_, _ *node) bool { return false }
	var worst time.Duration
	for _, n := range l.nodes {
		l.send(n, Startup{})
		l.send(n, Recover{})
		l.send(n, TakeBack{})
		if degraded.Draw(t, "stays degraded") {
			l.send(n, stuck)
		} else {
			l.send(n, Degraded{})
		}
		l.send(n, Ready{})
		l.send(n, Gate{})
		l.send(n, Hearing{})
		p := n.m.EffectiveParams()
		worst = max(worst, MasterDownInterval(p.Version, p.Priority, p.AdvertInterval, p.DownAdverts)+p.AdvertInterval, n.m.mem.NotBefore-l.now+p.AdvertInterval)
	}
	return worst + 20*ms
}

// holdOffEnd is when all directors that lost their VIPs may preempt again.
func holdOffEnd(l *lan) time.Duration {
	last := l.now
	for _, n := range l.nodes {
		last = max(last, n.m.mem.HoldOffUntil)
	}
	return last
}

// TestOneMasterAfterHeal: whatever happened before, there is exactly one MASTER a master-down interval and an advert
// after the segment works again, whichever directors are degraded. If all directors preempt, no BACKUP has a higher
// priority once those that lost their VIPs may preempt again, and the MASTER does not change.
func TestOneMasterAfterHeal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		allPreempt := rapid.Bool().Draw(t, "all preempt")
		preempt := rapid.Bool()
		if allPreempt {
			preempt = rapid.Just(true)
		}
		l := genLAN(t, preempt)
		disturb(t, l)
		wait := healed(l, rapid.Bool(), t)
		l.run(l.now + wait)
		if soon := l.masters(); len(soon) != 1 {
			t.Fatalf("at %s: %d MASTERs\n%s", l.now, len(soon), l.log.String())
		}
		l.run(holdOffEnd(l) + wait)
		first := l.masters()
		if len(first) != 1 {
			t.Fatalf("at %s: %d MASTERs\n%s", l.now, len(first), l.log.String())
		}
		for _, n := range l.nodes {
			if allPreempt && !l.refuses(n, first[0]) && n.m.EffectiveParams().Priority > first[0].m.EffectiveParams().Priority {
				t.Fatalf("at %s: %s is MASTER, but %s has the higher priority\n%s", l.now, first[0].name, n.name, l.log.String())
			}
		}
		l.run(l.now + 3*wait)
		if again := l.masters(); len(again) != 1 || again[0] != first[0] {
			t.Fatalf("at %s: %s was MASTER, now %d are\n%s", l.now, first[0].name, len(again), l.log.String())
		}
		if wrong := l.wrong(); wrong != "" {
			t.Fatalf("%s\n%s", wrong, l.log.String())
		}
	})
}

// TestTakeOverIsFast: on a working segment, a crash of the MASTER leaves the VIPs without a holder for no longer than
// the master-down interval of the next director plus the delay of a frame.
func TestTakeOverIsFast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := genLAN(t, rapid.Just(true))
		l.run(l.now + healed(l, rapid.Just(false), t) + 10*sec)
		masters := l.masters()
		if len(masters) != 1 {
			t.Fatalf("%d MASTERs", len(masters))
		}
		l.run(l.now + time.Duration(rapid.IntRange(0, 4000).Draw(t, "later"))*ms)
		masters[0].dead = true
		next := slices.MaxFunc(l.nodes, func(a, b *node) int {
			return priorityUnless(a, masters[0]) - priorityUnless(b, masters[0])
		})
		l.run(l.now + next.m.MasterDownInterval() + 5*ms)
		if len(l.masters()) == 0 {
			t.Fatalf("at %s no director has taken over\n%s", l.now, l.log.String())
		}
	})
}

func priorityUnless(n, dead *node) int {
	if n == dead {
		return 0
	}
	return int(n.m.Params().Priority)
}

// TestTraceReplays: the trace of any director, written as text and parsed, replays with the same result; so does a
// trace that has dropped its oldest entries.
func TestTraceReplays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := genLAN(t, rapid.Bool())
		for _, n := range l.nodes {
			n.trace = NewTrace(n.m, rapid.IntRange(1, 40).Draw(t, "limit"))
		}
		disturb(t, l)
		for _, n := range l.nodes {
			text := parses(t, n.trace)
			if got := n.trace.Replay().String(); got != text {
				t.Fatalf("recorded:\n%s\nreplayed:\n%s", text, got)
			}
		}
	})
}

// parses returns a trace as text, which is parsed to the same trace.
func parses(t *rapid.T, trace *Trace) string {
	text := trace.String()
	back, err := ParseTrace(text)
	if err != nil {
		t.Fatal(err)
	}
	if got := back.String(); got != text {
		t.Fatalf("recorded:\n%s\nparsed:\n%s", text, got)
	}
	return text
}

// TestAnythingGoes: no sequence of events at any time breaks an invariant.
func TestAnythingGoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLAN()
		p := Params{
			VRID: 1, Version: uint8(rapid.IntRange(2, 3).Draw(t, "version")), Priority: rapid.Uint8().Draw(t, "priority"),
			Preempt: rapid.Bool().Draw(t, "preempt"), PreemptDelay: time.Duration(rapid.IntRange(0, 5).Draw(t, "delay")) * sec, Source: backup,
		}
		n := l.add("n", p)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			l.now += time.Duration(rapid.IntRange(-100, 3000).Draw(t, "pause")) * ms
			ev := rapid.SampledFrom(allEvents).Draw(t, "event")
			switch rapid.IntRange(0, 4).Draw(t, "kind") {
			case 0, 1:
				ev = Advert{
					Source: sourceOf(rapid.IntRange(0, 3).Draw(t, "source")), Priority: rapid.Uint8().Draw(t, "priority"),
					Interval: time.Duration(rapid.IntRange(-1, 4095).Draw(t, "interval")) * centisecond,
				}
			case 3:
				ev = Evidence{
					Source: sourceOf(rapid.IntRange(0, 3).Draw(t, "source")), Priority: rapid.Uint8().Draw(t, "priority"),
					Interval: time.Duration(rapid.IntRange(-1, 255).Draw(t, "interval")) * sec,
					Director: rapid.Bool().Draw(t, "director"), Version: rapid.Uint8().Draw(t, "version"), AuthType: rapid.Uint8().Draw(t, "auth"),
					Why: rapid.SampledFrom(DropReasons()).Draw(t, "why"),
				}
			case 2:
				p.Priority = rapid.Uint8().Draw(t, "priority")
				p.AdvertInterval = time.Duration(rapid.IntRange(1, 300).Draw(t, "interval")) * centisecond
				p.DownAdverts = rapid.Uint8().Draw(t, "down_adverts")
				for _, one := range p.switches() {
					*one.on = rapid.Bool().Draw(t, one.name)
				}
				ev = Reconfigure{Params: p}
			}
			l.send(n, ev)
			if n.wrong != "" {
				t.Fatalf("%s\n%s", n.wrong, n.trace)
			}
		}
	})
}
