package election

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// Desired is the desired state of an instance.
type Desired struct {
	Name      string // for display
	Params    vrrp.Params
	Addresses []netip.Addr // the VIPs that adverts list
	Excluded  []netip.Addr // VIPs that they do not list
	Peers     vrrp.Peers
	// ConflictCheck is how often a MASTER asks the network for one of its VIPs; 0: never.
	ConflictCheck time.Duration
	// Fault is why this director cannot serve, NotReady why it must not preempt, Unfit why any other director serves
	// better; "" for no such reason. Gate is why it must not become MASTER even if there is none.
	Fault, NotReady, Unfit, Gate string
	// Empty: NotReady is that no real server takes connections.
	Empty bool
}

// desired is the last desired state passed to an actor.
type desired struct {
	mu   sync.Mutex // also held while the actor is told, so that two Sets keep their order
	last Desired
}

// Set tells the instance what has changed since the last Set, or since New; it may be called before Run. Restrictions
// are applied before they are lifted: if the interface comes back while no real server is up, the instance must not
// preempt in between.
func (a *Actor) Set(d Desired) {
	a.desired.mu.Lock()
	defer a.desired.mu.Unlock()
	before := a.desired.last
	a.desired.last = d
	if d.Name != before.Name && d.Name != "" {
		a.command(func(a *Actor) { a.rename(d.Name) })
	}
	if !slices.Equal(d.Addresses, before.Addresses) || !slices.Equal(d.Excluded, before.Excluded) {
		a.claim(d)
	}
	if d.Params != before.Params || !slices.Equal(d.Addresses, before.Addresses) || !d.Peers.Equal(before.Peers) {
		a.Reconfigure(d.Params, d.Addresses, d.Peers)
	}
	if d.ConflictCheck != before.ConflictCheck {
		a.command(func(a *Actor) { a.checkEvery = d.ConflictCheck })
	}
	if d.Gate != before.Gate && d.Gate != "" {
		a.Tell(vrrp.Gate{Reason: d.Gate})
	}
	if (d.NotReady != before.NotReady || d.Empty != before.Empty) && d.NotReady != "" {
		a.Tell(vrrp.NotReady{Reason: d.NotReady, Empty: d.Empty})
	}
	if d.Unfit != before.Unfit && d.Unfit != "" {
		a.command(func(a *Actor) { a.degrade(&a.unfit, d.Unfit) })
	}
	switch {
	case d.Fault == before.Fault:
	case d.Fault == "":
		a.Tell(vrrp.Recover{})
	default:
		a.Tell(vrrp.Faulted{Reason: d.Fault})
	}
	if d.Unfit != before.Unfit && d.Unfit == "" {
		a.command(func(a *Actor) { a.degrade(&a.unfit, "") })
	}
	if d.NotReady != before.NotReady && d.NotReady == "" {
		a.Tell(vrrp.Ready{})
	}
	if d.Gate != before.Gate && d.Gate == "" {
		a.Tell(vrrp.Gate{})
	}
}

// claim publishes the VIPs that no other machine may have, for the link.
func (a *Actor) claim(d Desired) {
	all := slices.Concat(d.Addresses, d.Excluded)
	a.claimable.Store(&all)
}

// rename changes the name in logs and events.
func (a *Actor) rename(to string) {
	a.log.Info("the instance has another name", "name", to)
	a.group.Load().sync.Rename(a.machine, to)
	a.name, a.log = to, a.rootLog.With("instance", to, "vrid", a.params.VRID)
}
