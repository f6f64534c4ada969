package vrrp

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// genSite draws two or three directors with a sync group of two or three members. If they are ranked, a director has the
// same priority on all segments and no other one has it; otherwise the winner may differ between the segments.
func genSite(t *rapid.T, ranked bool, preempt *rapid.Generator[bool]) *site {
	s := newSite()
	segments := rapid.IntRange(2, 3).Draw(t, "segments")
	all := rapid.SliceOfNDistinct(rapid.Uint8Range(2, 254), 3, 3, rapid.ID[uint8]).Draw(t, "priorities")
	intervals := rapid.SliceOfN(rapid.SampledFrom([]time.Duration{500 * ms, sec}), segments, segments).Draw(t, "intervals")
	owner := ranked && rapid.IntRange(0, 5).Draw(t, "owner") == 0
	for n := range rapid.IntRange(2, 3).Draw(t, "directors") {
		pre := preempt.Draw(t, "preempt")
		var members []Params
		for segment := range segments {
			p := siteMember(segment, n, all[n])
			if segment == 1 { // the order of the addresses differs
				p = siteMember(segment, 9-n, all[n])
			}
			if !ranked {
				p.Priority = rapid.SampledFrom([]uint8{100, 101}).Draw(t, "priority")
			}
			if owner && n == 0 {
				p.Priority = PriorityOwner
			}
			p.AdvertInterval, p.Preempt = intervals[segment], pre || p.Priority == PriorityOwner
			members = append(members, p)
		}
		s.add(true, members...)
	}
	s.delay = func() time.Duration {
		return time.Duration(rapid.IntRange(10, 5000).Draw(t, "delay")) * time.Microsecond
	}
	return s
}

// disturbSite runs a site for a while with packet loss, partitions of single segments and any event that a member can have.
func disturbSite(t *rapid.T, s *site) {
	var cut [][]bool
	lossy := rapid.IntRange(0, 60).Draw(t, "loss in percent")
	s.drops = func(segment int, from, to *host) bool {
		i, j := slices.Index(s.hosts, from), slices.Index(s.hosts, to)
		return cut[segment][i] != cut[segment][j] || rapid.IntRange(1, 100).Draw(t, "die") <= lossy
	}
	for range rapid.IntRange(1, 10).Draw(t, "turns") {
		cut = nil
		for range s.hosts[0].nodes {
			cut = append(cut, rapid.SliceOfN(rapid.Bool(), len(s.hosts), len(s.hosts)).Draw(t, "sides"))
		}
		h := rapid.SampledFrom(s.hosts).Draw(t, "director")
		segment := rapid.IntRange(0, len(h.nodes)-1).Draw(t, "segment")
		switch ev := rapid.SampledFrom(allEvents).Draw(t, "event").(type) {
		case Shutdown: // a group is started and stopped as a whole, and made anew
		case Startup:
			s.all(h, ev)
		default:
			s.send(h, segment, ev)
		}
		s.run(s.now + time.Duration(rapid.IntRange(1, 5000).Draw(t, "pause"))*ms)
		if wrong := s.wrong(); wrong != "" && started(h) {
			t.Fatalf("at %s: %s\n%s", s.now, wrong, s.log.String())
		}
	}
}

func started(h *host) bool {
	return !slices.ContainsFunc(h.nodes, func(n *node) bool { return n.m.State() == Init })
}

// healedSite puts every director into service on working segments, and returns how long an election may take then.
func healedSite(s *site) (worst time.Duration) {
	s.drops = func(int, *host, *host) bool { return false }
	for _, h := range s.hosts {
		for _, ev := range []Event{Startup{}, TakeBack{}, Recover{}, Degraded{}, Ready{}, Gate{}, Hearing{}} {
			s.all(h, ev)
		}
		for _, n := range h.nodes {
			p := n.m.Params()
			worst = max(worst, 2*MasterDownInterval(p.Version, p.Priority, p.AdvertInterval, p.DownAdverts)+p.AdvertInterval, n.m.mem.NotBefore-s.now+p.AdvertInterval)
		}
	}
	return worst + 20*ms
}

func siteHoldOffEnd(s *site) time.Duration {
	last := s.now
	for _, h := range s.hosts {
		for _, n := range h.nodes {
			last = max(last, n.m.mem.HoldOffUntil)
		}
	}
	return last
}

// oneMaster fails the test unless exactly one director is MASTER, of all segments, and stays so.
func (s *site) oneMaster(t *rapid.T, wait time.Duration) *host {
	first := s.masters()
	if wrong := s.wrong(); wrong != "" || len(first) != 1 {
		t.Fatalf("at %s: %d directors are MASTER; %s\n%s", s.now, len(first), wrong, s.log.String())
	}
	s.run(siteHoldOffEnd(s) + wait)
	again := s.masters()
	s.run(s.now + 3*wait)
	last := s.masters()
	if wrong := s.wrong(); wrong != "" || len(again) != 1 || len(last) != 1 || last[0] != again[0] {
		t.Fatalf("at %s: %d directors are MASTER, then %d; %s\n%s", s.now, len(again), len(last), wrong, s.log.String())
	}
	return last[0]
}

// TestSyncGroupHeals: whatever happened before, one director is MASTER of all segments two master-down intervals and an
// advert after all segments work again, and stays so. If all preempt, it is the one with the highest priority.
func TestSyncGroupHeals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		allPreempt := rapid.Bool().Draw(t, "all preempt")
		preempt := rapid.Bool()
		if allPreempt {
			preempt = rapid.Just(true)
		}
		s := genSite(t, true, preempt)
		disturbSite(t, s)
		wait := healedSite(s)
		s.run(s.now + wait)
		master := s.oneMaster(t, wait)
		for _, h := range s.hosts {
			if allPreempt && h.nodes[0].m.Params().Priority > master.nodes[0].m.Params().Priority {
				t.Fatalf("%s is MASTER, but %s has the higher priority\n%s", master.name, h.name, s.log.String())
			}
		}
	})
}

// TestSyncGroupWithoutARank: even if the members have different winners, because of equal priorities and addresses whose
// order differs, or of priorities that the cluster file refuses, the election ends.
func TestSyncGroupWithoutARank(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := genSite(t, false, rapid.Bool())
		disturbSite(t, s)
		wait := healedSite(s)
		if rapid.Bool().Draw(t, "all are degraded") {
			for _, h := range s.hosts {
				s.send(h, 0, stuck)
			}
		}
		s.run(s.now + 6*wait)
		s.oneMaster(t, wait)
	})
}

// TestSyncGroupOfOneCutSegment: directors that hear each other on one segment only do not both become MASTER, and the
// VIPs of a group are at two directors for as long as an advert travels.
func TestSyncGroupOfOneCutSegment(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := genSite(t, true, rapid.Bool())
		wait := healedSite(s)
		s.run(s.now + wait)
		s.oneMaster(t, wait)
		for range rapid.IntRange(1, 6).Draw(t, "turns") {
			whole := rapid.IntRange(0, len(s.hosts[0].nodes)-1).Draw(t, "the segment that works")
			s.drops = func(segment int, _, _ *host) bool { return segment != whole }
			h := rapid.SampledFrom(s.hosts).Draw(t, "director")
			segment := rapid.IntRange(0, len(h.nodes)-1).Draw(t, "segment")
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				s.send(h, segment, Faulted{Reason: "cable"})
			case 1:
				s.send(h, segment, Recover{})
			case 2:
				s.send(h, segment, Lost{Reason: "lease"})
			}
			s.run(s.now + 2*wait)
			able := slices.ContainsFunc(s.hosts, func(h *host) bool { return h.nodes[0].m.State() != Fault })
			if masters := s.masters(); s.wrong() != "" || able != (len(masters) == 1) {
				t.Fatalf("at %s: %d directors are MASTER; %s\n%s", s.now, len(masters), s.wrong(), s.log.String())
			}
		}
		if s.twiceOf > 20*ms {
			t.Fatalf("for %s, two directors have held VIPs of one group\n%s", s.twiceOf, s.log.String())
		}
	})
}

// TestSyncGroupTraces: the trace of each member replays alone.
func TestSyncGroupTraces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := genSite(t, rapid.Bool().Draw(t, "ranked"), rapid.Bool())
		for _, h := range s.hosts {
			for _, n := range h.nodes {
				n.trace = NewTrace(n.m, rapid.IntRange(1, 40).Draw(t, "limit"))
			}
		}
		disturbSite(t, s)
		for _, h := range s.hosts {
			for _, n := range h.nodes {
				parses(t, n.trace)
			}
		}
	})
}
