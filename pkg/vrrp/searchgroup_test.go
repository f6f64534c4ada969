package vrrp

import "time"

// bounceMemory is more than a group remembers its last bounce.
const bounceMemory = time.Minute

// groupState is a SyncGroup as a value.
type groupState struct {
	members                                        [2]memberState
	stopping                                       bool
	tookOver, rivalAt, bouncedAt, holdOff, readyAt time.Duration
	bounces                                        int
	ready                                          bool
	fallback                                       string
}

type memberState struct {
	own                      Condition
	joined, takes, announces bool
}

// group returns the sync group of a director with the machines of its routers.
func (v *visit) group(director int) (*SyncGroup, []*Machine) {
	s := &v.w.groups[director]
	g := &SyncGroup{
		size: v.segments, stopping: s.stopping, now: epoch, tookOver: s.tookOver, rivalAt: s.rivalAt, bounces: s.bounces, bouncedAt: s.bouncedAt,
		holdOff: s.holdOff, ready: s.ready, readyAt: s.readyAt, fallback: s.fallback,
	}
	var all []*Machine
	for n := range v.segments {
		m := v.machine(director*v.segments + n)
		x := s.members[n]
		all = append(all, m)
		g.members = append(g.members, &member{name: "m", m: m, own: x.own, joined: x.joined, takes: x.takes, announces: x.announces})
	}
	return g, all
}

func (g *SyncGroup) state() groupState {
	s := groupState{
		stopping: g.stopping, tookOver: g.tookOver, rivalAt: g.rivalAt, bounces: g.bounces, bouncedAt: g.bouncedAt,
		holdOff: g.holdOff, ready: g.ready, readyAt: g.readyAt, fallback: g.fallback,
	}
	for n, x := range g.members {
		s.members[n] = memberState{x.own, x.joined, x.takes, x.announces}
	}
	return s
}

// newGroup is the group of a director that starts.
func (v *visit) newGroup(director int) {
	g := &SyncGroup{size: v.segments}
	for n := range v.segments {
		g.Add("m", v.machine(director*v.segments+n), Condition{})
	}
	v.w.groups[director] = g.state()
}

// stepGroup passes an event to a router and what follows to the others.
func (v *visit) stepGroup(i int, ev Event) {
	director := i / v.segments
	g, all := v.group(director)
	if ev = g.Filter(all[i%v.segments], ev); ev != nil {
		v.stepMachine(i, all[i%v.segments], ev)
	}
	for turn := 0; ; turn++ {
		m, next := g.Next(epoch)
		if next == nil {
			break
		}
		if turn > 10*v.segments {
			v.fail("the sync group of %s does not come to an end", v.name(i))
			break
		}
		for n := range all {
			if all[n] == m {
				v.stepMachine(director*v.segments+n, m, next)
			}
		}
	}
	v.w.groups[director] = g.state()
	for n, m := range all {
		v.checkRouter(director*v.segments+n, m)
		if one := all[0].State(); !g.stopping && m.State() != one && m.State() != Init && one != Init {
			v.fail("%s is %s, and %s is %s", v.name(director*v.segments), one, v.name(director*v.segments+n), m.State())
		}
	}
	if at, ok := g.Deadline(); ok && at <= epoch {
		v.fail("the deadline of the group of %s is %s ago", v.name(i), epoch-at)
	}
}

func (s *groupState) deadline() (at time.Duration, ok bool) {
	at = s.readyAt + s.holdOff
	return at, s.ready && s.holdOff > 0
}

func (s *groupState) shift(by time.Duration) {
	for _, at := range []*time.Duration{&s.tookOver, &s.rivalAt, &s.bouncedAt, &s.readyAt} {
		*at += by
	}
}

func (s *groupState) normal() {
	s.tookOver, s.rivalAt = max(s.tookOver, epoch-old), max(s.rivalAt, epoch-old)
	if s.bouncedAt = max(s.bouncedAt, epoch-bounceMemory); s.bounces == 0 {
		s.bouncedAt = epoch - bounceMemory
	}
	if s.readyAt = max(s.readyAt, epoch-old); !s.ready {
		s.readyAt = 0
	}
	s.fallback = ""
}
