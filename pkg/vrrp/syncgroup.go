package vrrp

import (
	"hash/fnv"
	"slices"
	"time"
)

// SyncGroup moves virtual routers of one director together. Its members are machines with Params.Grouped, each on its own
// segment; a group of one does nothing. It has no timers, sockets or traces of its own: it tells its owner which events
// the members get next, so that each member can still be replayed alone.
//
//   - A fault, or a degraded condition, of one member is one of all.
//   - They become MASTER at the same time, once each of them would be MASTER alone. A member that hears a MASTER to which
//     it gives way keeps all of them BACKUP, so that two directors that hear each other on one segment only do not both
//     become MASTER, and a group never changes sides because of a segment on which nobody is heard.
//   - If one leaves MASTER, all do.
//
// keepalived's vrrp_sync_group has the same rules (vrrp_sync.c, vrrp_sync_can_goto_master).
//
// A member that comes later, by a reload, follows the group and does not disturb it: see member.joined.
//
// The zero value has no members. It is not safe for concurrent use.
type SyncGroup struct {
	members  []*member
	size     int  // how many members belong to it
	stopping bool // after Shutdown

	now      time.Duration
	tookOver time.Duration // when it last became MASTER
	rivalAt  time.Duration // when it last told the members of a MASTER of lower rank

	// Two directors whose members have different winners give way to each other again and again: bounces counts how often
	// in a row this one gave way as soon as it had become MASTER, and holdOff is how much longer it waits next time.
	bounces   int
	bouncedAt time.Duration
	holdOff   time.Duration
	ready     bool // all members are due,
	readyAt   time.Duration
	fallback  string // why it left MASTER, until all have
	order     Event  // HandOver or TakeBack, for the members that are ordered
}

// Condition is the condition of a member by itself, which may differ from what its machine was told.
type Condition struct {
	Faulted  bool
	Fault    string
	Degraded string // "": it is not
}

// member is one machine of a group.
type member struct {
	name string
	m    *Machine
	own  Condition
	// joined: its state counts as that of the group. A member that is added to a running group joins when it has the
	// group's state. Until then it takes its VIPs if the group is MASTER and nobody else holds them, and gives them up,
	// with a resignation, if the group is not.
	joined    bool
	takes     bool // it gets TakeOver next
	announces bool // it gets Reannounce next
	ordered   bool // it gets the order of the group next
}

// SetSize says how many members belong to the group: while some are missing, because they have not been started, it does
// not become MASTER.
func (g *SyncGroup) SetSize(n int) { g.size = n }

// Add adds a machine with its own condition; the name is for the reasons of the others.
func (g *SyncGroup) Add(name string, m *Machine, own Condition) {
	serving := slices.ContainsFunc(g.members, func(x *member) bool { return x.m.State() == Master })
	g.members = append(g.members, &member{name: name, m: m, own: own, joined: len(g.members) == 0 || m.State() == Init && !serving})
}

// Remove removes a machine, which keeps its state, and returns its own condition.
func (g *SyncGroup) Remove(m *Machine) Condition {
	at := g.index(m)
	if at < 0 {
		return Condition{}
	}
	own := g.members[at].own
	g.members = slices.Delete(g.members, at, at+1)
	if len(g.members) > 0 && !slices.ContainsFunc(g.members, func(x *member) bool { return x.joined }) {
		g.members[0].joined = true
	}
	return own
}

// Rename changes the name of a member.
func (g *SyncGroup) Rename(m *Machine, name string) {
	if at := g.index(m); at >= 0 {
		g.members[at].name = name
	}
}

func (g *SyncGroup) index(m *Machine) int {
	return slices.IndexFunc(g.members, func(x *member) bool { return x.m == m })
}

// Filter takes an event for one of the machines and returns what to pass to it now; nil for nothing, because its effect
// comes from Next.
func (g *SyncGroup) Filter(m *Machine, ev Event) Event {
	at := g.index(m)
	if at < 0 {
		return ev
	}
	x := g.members[at]
	switch e := ev.(type) {
	case Faulted:
		x.own.Faulted, x.own.Fault = true, e.Reason
	case Recover:
		x.own.Faulted, x.own.Fault = false, ""
	case Degraded:
		x.own.Degraded = e.Reason
	case Shutdown:
		g.stopping = true
		return ev
	case HandOver, TakeBack:
		g.order = ev
		for _, x := range g.members {
			x.ordered = true
		}
	default:
		return ev
	}
	return nil
}

// Next returns the next event that follows from the states of the members, and the machine that gets it; nil if there is
// none. Call it again after each Step of a member, and when the time of Deadline has come.
func (g *SyncGroup) Next(now time.Duration) (*Machine, Event) {
	g.now = max(g.now, now)
	if g.stopping {
		return nil, nil
	}
	for at, x := range g.members {
		if ev := x.m.become(g.condition(at)); ev != nil {
			return x.m, ev
		}
	}
	for _, x := range g.members {
		if x.ordered {
			x.ordered = false
			return x.m, g.order
		}
	}
	if len(g.members) < 2 {
		return nil, nil
	}
	for _, x := range g.members {
		switch {
		case x.takes:
			x.takes, x.joined = false, true
			return x.m, TakeOver{}
		case x.announces:
			x.announces = false
			return x.m, Reannounce{}
		}
	}
	if m, ev := g.leave(); m != nil {
		return m, ev
	}
	if m, ev := g.join(); m != nil {
		return m, ev
	}
	if g.wins() {
		g.tookOver, g.ready = g.now, false
		for _, x := range g.members {
			x.takes = true
		}
		return g.Next(now)
	}
	return g.rival()
}

// become returns the event that makes this the condition of the machine; nil if it is. Restrictions come first.
func (m *Machine) become(c Condition) Event {
	s := &m.mem
	switch {
	case c.Faulted && (!s.Faulted || s.FaultReason != c.Fault):
		return Faulted{Reason: c.Fault}
	case c.Degraded != "" && s.Degraded != c.Degraded:
		return Degraded{Reason: c.Degraded}
	case !c.Faulted && s.Faulted:
		return Recover{}
	case c.Degraded == "" && s.Degraded != "":
		return Degraded{}
	}
	return nil
}

// condition returns the condition of a member: its own, or that of another one.
func (g *SyncGroup) condition(at int) Condition {
	c := g.members[at].own
	for _, x := range g.members {
		if x.own.Faulted && !c.Faulted {
			c.Faulted, c.Fault = true, x.inGroup(x.own.Fault)
		}
		if x.own.Degraded != "" && c.Degraded == "" {
			c.Degraded = x.inGroup(x.own.Degraded)
		}
	}
	return c
}

// inGroup is something about x, for the reason of another member.
func (x *member) inGroup(text string) string { return x.name + " of the same sync group: " + text }

// leave takes the other members out of MASTER when one has left it.
func (g *SyncGroup) leave() (*Machine, Event) {
	var left *member
	for _, x := range g.members {
		if x.joined && x.m.State() != Master && x.m.State() != Init {
			left = x
			break
		}
	}
	if left == nil {
		return nil, nil
	}
	for _, x := range g.members {
		if !x.joined || x.m.State() != Master {
			continue
		}
		if g.fallback == "" {
			g.fallback = left.inGroup(left.m.mem.StateReason.sentence())
			g.countBounce(left)
		}
		how := Silently
		switch {
		case left.m.mem.StateReason.Kind == emptyPool, left.m.mem.Handover.Resigned:
			how = WithResignation
		case left.m.Retains():
			how = WithAdvert
		}
		return x.m, StepDown{How: how, Reason: g.fallback}
	}
	g.fallback = ""
	return nil, nil
}

// countBounce notes that the group gives way.
func (g *SyncGroup) countBounce(left *member) {
	interval, patience := g.interval()
	if g.now-g.bouncedAt > patience {
		g.bounces = 0
	}
	g.holdOff = 0
	if !left.m.outranked() || g.now-g.tookOver > interval {
		g.bounces = 0
		return
	}
	g.bounces, g.bouncedAt = g.bounces+1, g.now
	if g.bounces > 1 { // the first one is that of two directors that became MASTER at the same moment
		g.holdOff = time.Duration(g.lot()%(1<<min(g.bounces-1, maxHoldOffBits))) * interval
	}
}

// outranked reports whether a member that has left MASTER has given way to a MASTER of higher rank. A degraded one is in
// FAULT then; another fault takes all members there at once.
func (m *Machine) outranked() bool {
	kind := m.mem.StateReason.Kind
	return kind == higherPeer || kind == higherAddr || m.mem.State == Fault
}

// maxHoldOffBits limits a hold-off to 31 advert intervals.
const maxHoldOffBits = 5

// lot returns a number that differs between directors and from one bounce to the next.
func (g *SyncGroup) lot() uint64 {
	h := fnv.New64a()
	_, _ = h.Write(g.members[0].m.p.Source.AsSlice())
	_, _ = h.Write([]byte{byte(g.bounces)})
	sum := h.Sum64()
	return sum ^ sum>>29
}

// interval returns the longest advert interval of the members, and the time within which two bounces are in a row.
func (g *SyncGroup) interval() (longest, patience time.Duration) {
	for _, x := range g.members {
		longest, patience = max(longest, x.m.p.AdvertInterval), max(patience, x.m.MasterDownInterval())
	}
	return longest, 2*patience + longest<<maxHoldOffBits
}

// join lets members that came later follow the group.
func (g *SyncGroup) join() (*Machine, Event) {
	master := g.State() == Master
	for _, x := range g.members {
		switch {
		case x.joined || x.m.State() == Init:
		case master == (x.m.State() == Master):
			x.joined = true
		case master && x.m.Due():
			x.joined = true
			return x.m, TakeOver{}
		case !master:
			return x.m, StepDown{How: WithResignation, Reason: "its sync group is not MASTER"}
		}
	}
	return nil, nil
}

// wins reports whether the group becomes MASTER now.
func (g *SyncGroup) wins() bool {
	if len(g.members) < g.size || slices.ContainsFunc(g.members, func(x *member) bool { return !x.m.Due() }) {
		g.ready = false
		return false
	}
	if !g.ready {
		g.ready, g.readyAt = true, g.now
		if _, patience := g.interval(); g.now-g.bouncedAt > patience {
			g.holdOff = 0
		}
	}
	return g.now >= g.readyAt+g.holdOff
}

// rival lets the other members announce their VIPs when one has heard a MASTER of lower rank that was not there before.
func (g *SyncGroup) rival() (*Machine, Event) {
	for at, x := range g.members {
		s := &x.m.mem
		if s.State != Master || !s.Rival || s.RivalAt != s.RivalSince || s.RivalAt <= g.rivalAt {
			continue
		}
		g.rivalAt = s.RivalAt
		for o, other := range g.members {
			other.announces = o != at && other.m.State() == Master
		}
		return g.Next(g.now)
	}
	return nil, nil
}

// Deadline returns when Next may have another event without a Step of a member; ok is false if it has none.
func (g *SyncGroup) Deadline() (at time.Duration, ok bool) {
	at = g.readyAt + g.holdOff
	return at, g.ready && at > g.now
}

// State returns the state of the group: that of its first member that has joined; INIT if there is none.
func (g *SyncGroup) State() State {
	for _, x := range g.members {
		if x.joined {
			return x.m.State()
		}
	}
	return Init
}
