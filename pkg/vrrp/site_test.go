package vrrp

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// site is a simulated site: directors with a sync group whose members are each on a segment of their own.
type site struct {
	now     time.Duration
	hosts   []*host
	flight  []siteFrame
	serial  int
	delay   func() time.Duration
	drops   func(segment int, from, to *host) bool
	log     strings.Builder
	twice   time.Duration // for how long, until now, two hosts have held the VIPs of different segments
	twiceOf time.Duration // the longest such time
}

// host is one director: a sync group, or, if it has none, one of one member for each segment.
type host struct {
	name   string
	groups []*SyncGroup // by segment; the same one for all if they are a group
	nodes  []*node      // by segment
	dead   bool
}

type siteFrame struct {
	at      time.Duration
	serial  int
	to      *host
	segment int
	advert  Advert
}

func newSite() *site {
	return &site{
		delay: func() time.Duration { return time.Millisecond },
		drops: func(int, *host, *host) bool { return false },
	}
}

// add adds a director with these members.
func (s *site) add(grouped bool, members ...Params) *host {
	h := &host{name: fmt.Sprintf("n%d", len(s.hosts))}
	together := new(SyncGroup)
	together.SetSize(len(members))
	for segment, p := range members {
		p.Grouped = grouped
		n := &node{name: fmt.Sprintf("%s/%d", h.name, segment), m: NewMachine(p)}
		n.trace = NewTrace(n.m, 1<<20)
		g := together
		if !grouped {
			g = new(SyncGroup)
		}
		g.Add(fmt.Sprintf("m%d", segment), n.m, Condition{})
		h.nodes, h.groups = append(h.nodes, n), append(h.groups, g)
	}
	s.hosts = append(s.hosts, h)
	return h
}

// member returns the parameters of the member on one segment of a director: its address there is the n-th.
func siteMember(segment, n int, priority uint8) Params {
	return Params{
		VRID: uint8(51 + segment), Version: 3, Priority: priority, AdvertInterval: sec, Preempt: true,
		Source: netip.AddrFrom4([4]byte{10, 77, byte(segment), byte(2 + n)}),
	}
}

// send passes an event to one member of a director.
func (s *site) send(h *host, segment int, ev Event) {
	if h.dead {
		return
	}
	g := h.groups[segment]
	if ev = g.Filter(h.nodes[segment].m, ev); ev != nil {
		s.step(h, segment, ev)
	}
	s.follow(h, g)
}

// follow carries out what follows for the members of a group.
func (s *site) follow(h *host, g *SyncGroup) {
	for {
		m, ev := g.Next(s.now)
		if ev == nil {
			break
		}
		s.step(h, slices.IndexFunc(h.nodes, func(n *node) bool { return n.m == m }), ev)
	}
	for _, n := range h.nodes {
		n.check()
	}
}

// all passes an event to all members of a director.
func (s *site) all(h *host, ev Event) {
	for segment := range h.nodes {
		s.send(h, segment, ev)
	}
}

func (s *site) step(h *host, segment int, ev Event) {
	n := h.nodes[segment]
	acts := n.trace.Step(n.m, s.now, ev)
	if len(acts) > 0 {
		fmt.Fprintf(&s.log, "%s %s: %s\n", s.now, n.name, ev)
	}
	for _, a := range acts {
		fmt.Fprintf(&s.log, "\t%s\n", a)
		advert, sends := a.(SendAdvert)
		if !sends {
			new(lan).do(n, a)
			continue
		}
		for _, to := range s.hosts {
			if to == h || s.drops(segment, h, to) {
				continue
			}
			s.serial++
			p := n.m.Params()
			s.flight = append(s.flight, siteFrame{s.now + s.delay(), s.serial, to, segment, Advert{Source: p.Source, Priority: advert.Priority, Interval: p.AdvertInterval}})
		}
	}
}

// run runs the site until the given time.
func (s *site) run(until time.Duration) {
	for {
		before := s.now
		more := s.next(until)
		if !more {
			s.now = until
		}
		if s.split() {
			s.twice += s.now - before
			s.twiceOf = max(s.twiceOf, s.twice)
		} else {
			s.twice = 0
		}
		if !more {
			return
		}
	}
}

func (s *site) next(until time.Duration) bool {
	slices.SortFunc(s.flight, func(a, b siteFrame) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.serial, b.serial))
	})
	var who *host
	segment, due := -1, until+1
	for _, h := range s.hosts {
		for i, n := range h.nodes {
			if at, ok := n.m.Deadline(); ok && !h.dead && at < due {
				who, segment, due = h, i, at
			}
			if at, ok := h.groups[i].Deadline(); ok && !h.dead && at < due {
				who, segment, due = h, i, at
			}
		}
	}
	if len(s.flight) > 0 && s.flight[0].at <= min(due, until) {
		f := s.flight[0]
		s.flight = s.flight[1:]
		s.now = f.at
		s.send(f.to, f.segment, f.advert)
		return true
	}
	if who == nil {
		return false
	}
	s.now = max(s.now, due)
	s.send(who, segment, Tick{})
	return true
}

// masters returns the directors of which a member is MASTER.
func (s *site) masters() []*host {
	var out []*host
	for _, h := range s.hosts {
		if !h.dead && slices.ContainsFunc(h.nodes, func(n *node) bool { return n.m.State() == Master }) {
			out = append(out, h)
		}
	}
	return out
}

// split reports whether no director holds the VIPs of all segments, and two hold some.
func (s *site) split() bool {
	masters := s.masters()
	return len(masters) > 1 && !slices.ContainsFunc(masters, func(h *host) bool {
		return !slices.ContainsFunc(h.nodes, func(n *node) bool { return n.m.State() != Master })
	})
}

// wrong returns the first violated invariant. The members of a group are in the same state after each event.
func (s *site) wrong() string {
	for _, h := range s.hosts {
		for segment, n := range h.nodes {
			if n.wrong != "" {
				return n.name + ": " + n.wrong
			}
			if h.groups[segment] == h.groups[0] && n.m.State() != h.nodes[0].m.State() {
				return fmt.Sprintf("%s is %s, and %s is %s", h.nodes[0].name, h.nodes[0].m.State(), n.name, n.m.State())
			}
		}
	}
	return ""
}
