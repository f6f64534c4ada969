package vrrp

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// spans measures for how long a segment has no MASTER, and more than one.
type spans struct {
	at                  time.Duration // up to here it has been measured
	none, several       time.Duration // until at
	noneMax, severalMax time.Duration
}

// run is lan.run.
func (s *spans) run(l *lan, until time.Duration) {
	for more := true; more; {
		masters := len(l.masters())
		if more = l.next(until); !more {
			l.now = until
		}
		span := l.now - s.at
		s.at = l.now
		s.none, s.several = s.none+span, s.several+span
		if masters != 0 || !slices.ContainsFunc(l.nodes, alive) {
			s.none = 0
		}
		if masters < 2 {
			s.several = 0
		}
		s.noneMax, s.severalMax = max(s.noneMax, s.none), max(s.severalMax, s.several)
	}
}

// TestDegradedDirectors: on a working segment directors become degraded, recover, crash and return in any order. After
// each change the VIPs have one holder for good: a healthy director of a priority above 1 if there is one, whatever
// preempt says. Meanwhile nobody holds them for a master-down interval at most, and two do only while an advert travels
// (or until the next one is due, with lower_prio_no_advert).
func TestDegradedDirectors(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := genLAN(t, rapid.Bool())
		l.refuses = func(_, _ *node) bool { return false }
		for _, n := range l.nodes {
			n.m.p.PreemptDelay = time.Duration(rapid.IntRange(0, 2).Draw(t, "preempt delay")) * 10 * time.Second
			n.trace = NewTrace(n.m, 1<<20)
			if rapid.Bool().Draw(t, "degraded from the start") {
				l.send(n, stuck)
			}
			l.send(n, Startup{})
		}
		p := l.nodes[0].m.Params()
		down := MasterDownInterval(p.Version, PriorityDegraded, p.AdvertInterval, p.DownAdverts)
		both := 20 * ms
		if slices.ContainsFunc(l.nodes, func(n *node) bool { return n.m.p.LowerPrioNoAdvert }) { // of two address owners
			both += p.AdvertInterval
		}
		l.run(l.now + down + 20*ms)
		for range rapid.IntRange(1, 8).Draw(t, "turns") {
			change(t, l)
			s := &spans{at: l.now}
			s.run(l, l.now+down+p.AdvertInterval+20*ms)
			settled := l.masters()
			s.run(l, l.now+3*down)
			switch again := l.masters(); {
			case l.wrong() != "":
				t.Fatalf("%s\n%s", l.wrong(), l.log.String())
			case s.noneMax > down+5*ms || s.severalMax > both:
				t.Fatalf("at %s: no MASTER for %s, more than one for %s\n%s", l.now, s.noneMax, s.severalMax, l.log.String())
			case slices.ContainsFunc(l.nodes, alive) != (len(settled) == 1):
				t.Fatalf("at %s: %d MASTERs\n%s", l.now, len(settled), l.log.String())
			case len(settled) == 1 && serves(settled[0]) != slices.ContainsFunc(l.nodes, serves):
				t.Fatalf("at %s: %s is MASTER, and another director would serve better\n%s", l.now, settled[0].name, l.log.String())
			case !slices.Equal(again, settled) && !delays(l):
				t.Fatalf("at %s: the MASTER has changed\n%s", l.now, l.log.String())
			}
		}
	})
}

// change lets one director become degraded, recover, crash or return.
func change(t *rapid.T, l *lan) {
	n := rapid.SampledFrom(l.nodes).Draw(t, "director")
	switch rapid.IntRange(0, 3).Draw(t, "change") {
	case 0:
		l.send(n, stuck)
	case 1:
		l.send(n, Degraded{})
	case 2:
		n.dead, n.holds = true, false
	case 3:
		if n.dead {
			m := NewMachine(n.m.Params())
			m.mem.Now = l.now
			n.m, n.trace, n.dead = m, NewTrace(m, 1<<20), false
		}
		if rapid.Bool().Draw(t, "degraded") {
			l.send(n, stuck)
		}
		l.send(n, Startup{})
	}
}

func alive(n *node) bool { return !n.dead }

// serves reports whether a degraded MASTER gives way to n.
func serves(n *node) bool {
	return !n.dead && n.m.mem.Degraded == "" && n.m.Params().Priority > PriorityDegraded
}

// delays reports whether a director may preempt later.
func delays(l *lan) bool {
	return slices.ContainsFunc(l.nodes, func(n *node) bool { return !n.dead && n.m.Params().PreemptDelay > 0 })
}
