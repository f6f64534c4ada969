package vrrp

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// lan is a simulated Ethernet segment with a machine per director. Time advances from event to event. It has no
// randomness of its own, so that a property test can draw every choice and a script gives the same result each time.
type lan struct {
	now    time.Duration
	nodes  []*node
	flight []frame
	serial int

	delay func(from, to *node) time.Duration
	// followed is the source of the last advert that was no resignation, as Guard remembers it.
	followed map[*Machine]netip.Addr
	refuses  func(to, from *node) bool // to refuses the adverts of from, which is a director of its cluster file
	drops    func(from, to *node) bool
	twice    func(from, to *node) bool     // a frame arrives twice
	receives func(to *node, ev Event) bool // false: it is somewhere else, such as in a queue
	log      strings.Builder
}

type node struct {
	name  string
	m     *Machine
	trace *Trace
	holds bool    // the VIPs, according to Acquire and Release
	dead  bool    // crashed: neither steps nor releases
	hung  bool    // does not step
	rate  float64 // of its clock; 0 means 1
	wrong string

	claimed   bool // another node has announced the VIPs, the last time at claimedAt
	claimedAt time.Duration
}

type frame struct {
	at     time.Duration
	serial int
	to     *node
	advert Event
}

func newLAN() *lan {
	return &lan{
		delay: func(_, _ *node) time.Duration { return time.Millisecond },
		drops: func(_, _ *node) bool { return false },

		refuses:  func(_, _ *node) bool { return false },
		twice:    func(_, _ *node) bool { return false },
		receives: func(_ *node, _ Event) bool { return true },
	}
}

func (l *lan) add(name string, p Params) *node {
	m := NewMachine(p)
	n := &node{name: name, m: m, trace: NewTrace(m, 1<<20)}
	l.nodes = append(l.nodes, n)
	return n
}

func (l *lan) node(name string) *node {
	i := slices.IndexFunc(l.nodes, func(n *node) bool { return n.name == name })
	if i < 0 {
		return nil
	}
	return l.nodes[i]
}

// clock is what the clock of n shows at a time of the segment, and real the reverse, rounded up.
func (n *node) clock(at time.Duration) time.Duration {
	if n.rate == 0 {
		return at
	}
	return time.Duration(float64(at) * n.rate)
}

func (n *node) real(at time.Duration) time.Duration {
	if n.rate == 0 {
		return at
	}
	return time.Duration(float64(at)/n.rate) + 2
}

// send passes ev to n and carries out the actions that n returns.
func (l *lan) send(n *node, ev Event) {
	if n.dead {
		return
	}
	acts := n.trace.Step(n.m, n.clock(l.now), ev)
	if len(acts) > 0 {
		fmt.Fprintf(&l.log, "%s %s: %s\n", l.now, n.name, ev)
	}
	for _, a := range acts {
		fmt.Fprintf(&l.log, "\t%s\n", a)
		l.do(n, a)
		if tr, ok := a.(Transition); ok && tr.To == Master && n.m.mem.Gate != "" {
			n.wrong = "MASTER, although its gate is shut"
		}
	}
	n.check()
}

func (l *lan) do(n *node, a Action) {
	switch a := a.(type) {
	case SendAdvert:
		for _, to := range l.nodes {
			if to == n || l.drops(n, to) {
				continue
			}
			l.serial++
			p := n.m.Params()
			var advert Event = Advert{Source: p.Source, Priority: a.Priority, Interval: p.AdvertInterval}
			if l.refuses(to, n) {
				advert = Evidence{
					Source: p.Source, Priority: a.Priority, Interval: p.AdvertInterval, Director: true, Version: 2, AuthType: authPassword, Why: DropAuth,
				}
			}
			l.flight = append(l.flight, frame{l.now + l.delay(n, to), l.serial, to, advert})
			if l.twice(n, to) {
				l.flight = append(l.flight, frame{l.now + l.delay(n, to), l.serial, to, advert})
			}
		}
		// One more is allowed while the VIPs are still held: the last advert of a MASTER that steps back.
		if a.Priority != PriorityResign && n.m.State() != Master && !n.holds {
			n.wrong = fmt.Sprintf("%s sends an advert of priority %d", n.m.State(), a.Priority)
		}
	case Acquire:
		if n.holds != (a.Cause == CauseStalled) {
			n.wrong = "Acquire twice, or without the VIPs after a stall"
		}
		n.holds = true
		l.announce(n)
	case Release:
		if !n.holds {
			n.wrong = "Release without Acquire"
		}
		n.holds = false
	case Announce:
		if !n.holds {
			n.wrong = "Announce without the VIPs"
		}
		if a.After == 0 {
			l.announce(n)
		}
	}
}

// announce lets those that hold the VIPs, too, receive an announcement of n.
func (l *lan) announce(n *node) {
	for _, to := range l.nodes {
		if to != n && to.holds && !l.drops(n, to) {
			l.serial++
			l.flight = append(l.flight, frame{l.now + l.delay(n, to), l.serial, to, Succeeded{}})
		}
	}
}

// hear passes what a frame holds to its receiver. An announcement that arrives before the advert counts when that comes.
func (l *lan) hear(n *node, ev Event) {
	if ev != (Succeeded{}) {
		l.send(n, ev)
	} else if n.claimed, n.claimedAt = true, l.now; !n.m.Retains() {
		return
	}
	if n.claimed && n.m.Retains() && l.now-n.claimedAt < sec {
		l.send(n, Succeeded{})
	}
}

// check checks the invariants after a Step.
func (n *node) check() {
	if n.holds != (n.m.State() == Master || n.m.Retains()) {
		n.wrong = fmt.Sprintf("%s, VIPs held: %t", n.m.State(), n.holds)
	}
	at, ok := n.m.Deadline()
	if ok && at <= n.m.mem.Now {
		n.wrong = fmt.Sprintf("deadline %s is not after %s", at, n.m.mem.Now)
	}
	if ok != (n.m.Retains() || !n.m.mem.Due && (n.m.State() == Backup || n.m.State() == Master || n.m.State() == Fault && !n.m.mem.Faulted)) {
		n.wrong = fmt.Sprintf("%s, deadline: %t", n.m.State(), ok)
	}
	if !strings.HasPrefix(n.m.Reason(), n.m.State().String()+": ") {
		n.wrong = "reason " + n.m.Reason()
	}
}

// run runs the segment until the given time.
func (l *lan) run(until time.Duration) {
	for l.next(until) {
	}
	l.now = until
}

// next runs the earliest pending event, if it is not later than until.
func (l *lan) next(until time.Duration) bool {
	slices.SortFunc(l.flight, func(a, b frame) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.serial, b.serial))
	})
	var who *node
	due := until + 1
	for _, n := range l.nodes {
		if at, ok := n.m.Deadline(); ok && !n.dead && !n.hung && n.real(at) < due {
			who, due = n, n.real(at)
		}
	}
	if len(l.flight) > 0 && l.flight[0].at <= min(due, until) {
		f := l.flight[0]
		l.flight = l.flight[1:]
		l.now = f.at
		if l.receives(f.to, f.advert) && !l.stray(f) {
			l.hear(f.to, f.advert)
		}
		return true
	}
	if who == nil {
		return false
	}
	l.now = max(l.now, due)
	l.send(who, Tick{})
	return true
}

// stray reports whether a frame is a resignation of a router that is not MASTER any more, which Guard drops: frames of two
// routers may overtake each other.
func (l *lan) stray(f frame) bool {
	a, ok := f.advert.(Advert)
	if !ok {
		return false
	}
	if l.followed == nil {
		l.followed = map[*Machine]netip.Addr{}
	}
	if a.Priority != PriorityResign {
		l.followed[f.to.m] = a.Source
		return false
	}
	master, known := l.followed[f.to.m]
	return f.to.m.State() != Master && known && master != a.Source
}

// masters returns the nodes that are MASTER.
func (l *lan) masters() []*node {
	var out []*node
	for _, n := range l.nodes {
		if n.m.State() == Master && !n.dead && !n.hung {
			out = append(out, n)
		}
	}
	return out
}

// wrong returns the first violated invariant.
func (l *lan) wrong() string {
	for _, n := range l.nodes {
		if n.wrong != "" {
			return n.name + ": " + n.wrong
		}
	}
	return ""
}

func sourceOf(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 77, 0, byte(2 + i)}) }
