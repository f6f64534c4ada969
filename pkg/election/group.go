package election

import (
	"slices"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// Group are the actors of the instances that move together. An actor that belongs to no sync group has a Group of its own.
//
// Its lock guards the actors with everything that has no lock of its own, so that what one of them receives moves all of
// them at the same moment. An actor releases it only while it waits. All actors of a group have the same Epoch.
type Group struct {
	mu      sync.Mutex
	sync    vrrp.SyncGroup
	members []*Actor
}

// Epoch is the moment from which the machines count their time; see Options.Suspended.
type Epoch struct {
	At    time.Time
	Slept time.Duration // for how long the host had been suspended before
}

// NewGroup returns a group without members.
func NewGroup() *Group { return new(Group) }

// SetSize says how many members belong to the group: without all of them it does not become MASTER.
func (g *Group) SetSize(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sync.SetSize(n)
	if len(g.members) > 0 {
		g.follow(g.members[0])
	}
}

// Join moves the actor to a group, nil for one of its own, without a change of its state. It is called from one goroutine
// only.
func (a *Actor) Join(g *Group) {
	from := a.lock()
	if g == nil {
		if len(from.members) == 1 {
			from.sync.SetSize(1)
			from.mu.Unlock()
			return
		}
		g = NewGroup()
		g.sync.SetSize(1)
	}
	if g == from {
		from.mu.Unlock()
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	own := from.remove(a)
	g.members = append(g.members, a)
	g.sync.Add(a.name, a.machine, own)
	a.group.Store(g)
	if len(from.members) > 0 {
		from.follow(from.members[0])
	}
	from.mu.Unlock()
	g.follow(a)
}

// Group returns the group to which the actor belongs.
func (a *Actor) Group() *Group { return a.group.Load() }

// lock locks the group of the actor.
func (a *Actor) lock() *Group {
	for {
		g := a.group.Load()
		g.mu.Lock()
		if a.group.Load() == g {
			return g
		}
		g.mu.Unlock()
	}
}

// tryLock is lock, but does not block: it returns false if the lock is held.
func (a *Actor) tryLock() bool {
	g := a.group.Load()
	if !g.mu.TryLock() {
		return false
	}
	if a.group.Load() != g {
		g.mu.Unlock()
		return false
	}
	return true
}

// unlock unlocks the group that lock has locked.
func (a *Actor) unlock() { a.group.Load().mu.Unlock() }

// remove takes an actor out of the group, and returns its own condition. mu is held.
func (g *Group) remove(a *Actor) vrrp.Condition {
	g.members = slices.DeleteFunc(g.members, func(b *Actor) bool { return b == a })
	return g.sync.Remove(a.machine)
}

// follow carries out what follows for the members from what one of them has done. mu is held.
func (g *Group) follow(by *Actor) {
	for {
		m, event := g.sync.Next(by.now())
		if event == nil {
			return
		}
		at := slices.IndexFunc(g.members, func(b *Actor) bool { return b.machine == m })
		other := g.members[at]
		other.asleep = by.asleep
		other.apply(event)
		if other != by {
			other.inbox.rouse() // its timer is another one
		}
	}
}

// drain processes every queued datagram of the members if the result of a step of one may depend on them. mu is held.
func (g *Group) drain(by *Actor) {
	if slices.ContainsFunc(g.members, func(b *Actor) bool { return b.machine.DrainFirst(by.now()) }) {
		for _, b := range g.members {
			b.wire.Drain()
		}
	}
	for _, b := range g.members {
		b.asleep = by.asleep
		b.receiveAll()
		if b != by && b.more > 0 {
			b.inbox.rouse()
		}
	}
}
