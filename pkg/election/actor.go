package election

import (
	"context"
	"log/slog"
	"maps"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// Group is the multicast group of VRRP over IPv4 (RFC 9568, section 5.1.1.2).
var Group = netip.AddrFrom4([4]byte{224, 0, 0, 18})

// Sender puts a VRRP message on the wire of one interface. It must not block.
type Sender interface {
	Send(payload []byte, source netip.Addr) error
}

// Holder is told what the election decided about the VIPs of an instance. Its methods only take note; they do not wait
// for the kernel.
type Holder interface {
	// Acquire asks for the VIPs. silent says that the last holder fell silent without resigning, so that it may
	// still answer for them until its lease has lapsed.
	Acquire(instance string, silent bool)
	Release(instance string)
	// Announce asks for gratuitous ARP for VIPs that are already held.
	Announce(instance string)
}

// Options are what an Actor needs; all fields are required.
type Options struct {
	Name      string
	Params    vrrp.Params
	Addresses []netip.Addr // the VIPs that adverts list
	Sender    Sender
	Holder    Holder
	Log       *slog.Logger
}

// Actor is one VRRP instance at work.
type Actor struct {
	name      string
	params    vrrp.Params
	addresses []netip.Addr
	sender    Sender
	holder    Holder
	log       *slog.Logger

	epoch     time.Time
	machine   *vrrp.Machine
	datagrams chan vrrp.Datagram
	commands  chan func(*Actor)
	done      chan struct{}
	snapshot  atomic.Pointer[Snapshot]

	sent, received uint64
	dropped        map[string]uint64
	overflowed     atomic.Uint64
	sendError      string // the last error logged, so that a dead link is one line and not one a second
}

// Snapshot is what an instance says of itself at one moment.
type Snapshot struct {
	State           vrrp.State
	Reason          string
	Since           time.Time
	Priority        uint8
	AdvertsSent     uint64
	AdvertsReceived uint64
	Dropped         map[string]uint64 // by vrrp.DropReason
}

// queued bounds the datagrams that wait for an actor. A peer sends one every advert interval; more than this many at
// once is a flood, of which the newest are dropped and counted as "overflow".
const queued = 64

// New makes an actor in INIT. Run starts it.
func New(o Options) *Actor {
	a := &Actor{
		name: o.Name, params: o.Params, addresses: o.Addresses, sender: o.Sender, holder: o.Holder,
		log:       o.Log.With("instance", o.Name, "vrid", o.Params.VRID),
		epoch:     time.Now(),
		machine:   vrrp.NewMachine(o.Params),
		datagrams: make(chan vrrp.Datagram, queued),
		commands:  make(chan func(*Actor), 16),
		done:      make(chan struct{}),
		dropped:   map[string]uint64{},
	}
	a.publish()
	return a
}

// Run takes part in the election until ctx ends, then resigns: a MASTER sends priority 0 and releases its VIPs.
func (a *Actor) Run(ctx context.Context) {
	defer close(a.done)
	a.obey() // a fault that is known already: not even an address owner serves before it
	a.step(vrrp.Startup{})
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		wait := time.Hour
		if at, ok := a.machine.Deadline(); ok {
			wait = at - a.now()
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			a.step(vrrp.Shutdown{})
			return
		case d := <-a.datagrams:
			a.receive(d)
		case command := <-a.commands:
			a.hear() // any step may be the one that finds the timer run out
			command(a)
		case <-timer.C:
			a.hear()
			a.step(vrrp.Tick{})
		}
	}
}

// Deliver hands a received datagram to the instance. It never blocks.
func (a *Actor) Deliver(d vrrp.Datagram) {
	select {
	case a.datagrams <- d:
	default:
		a.overflowed.Add(1)
	}
}

// Tell feeds one event to the machine: readiness, faults, a lost lease.
func (a *Actor) Tell(event vrrp.Event) {
	a.command(func(a *Actor) { a.step(event) })
}

// Reconfigure changes the parameters and the VIPs listed in adverts without leaving the state.
func (a *Actor) Reconfigure(p vrrp.Params, addresses []netip.Addr) {
	a.command(func(a *Actor) {
		a.params, a.addresses = p, addresses
		a.step(vrrp.Reconfigure{Params: p})
	})
}

// Snapshot returns the newest published view; it never waits.
func (a *Actor) Snapshot() Snapshot { return *a.snapshot.Load() }

func (a *Actor) command(f func(*Actor)) {
	select {
	case a.commands <- f:
	case <-a.done:
	}
}

// obey carries out the commands that are queued.
func (a *Actor) obey() {
	for {
		select {
		case command := <-a.commands:
			command(a)
		default:
			return
		}
	}
}

// hear takes in every datagram that is queued: after a stall what was heard meanwhile decides, not the clock.
func (a *Actor) hear() {
	for range queued {
		select {
		case d := <-a.datagrams:
			a.receive(d)
		default:
			return
		}
	}
}

func (a *Actor) now() time.Duration { return time.Since(a.epoch) }

func (a *Actor) receive(d vrrp.Datagram) {
	p, drop := vrrp.Accept(d, a.params)
	if drop != vrrp.DropNone {
		reason := drop.String()
		a.dropped[reason]++
		if a.dropped[reason] == 1 {
			a.log.Warn("ignored a VRRP packet; more of this kind are only counted",
				"reason", reason, "source", d.Source.String(), "ttl", d.TTL)
		}
		a.publish()
		return
	}
	a.received++
	a.step(vrrp.Advert{Source: d.Source, Priority: p.Priority, Interval: p.Interval})
}

func (a *Actor) step(event vrrp.Event) {
	for _, action := range a.machine.Step(a.now(), event) {
		a.perform(action)
	}
	a.publish()
}

func (a *Actor) perform(action vrrp.Action) {
	switch action := action.(type) {
	case vrrp.SendAdvert:
		a.advertise(action.Priority)
	case vrrp.Acquire:
		// Whoever neither resigned nor lives may still answer until its lease has lapsed.
		a.holder.Acquire(a.name, action.Cause == vrrp.CauseSilentPeer || action.Cause == vrrp.CauseAlone)
	case vrrp.Release:
		a.holder.Release(a.name)
	case vrrp.Announce:
		a.holder.Announce(a.name)
	case vrrp.Transition:
		a.log.Info("state", "from", action.From.String(), "to", action.To.String(), "reason", action.Reason)
	}
}

func (a *Actor) advertise(priority uint8) {
	packet := vrrp.Packet{
		Version: a.params.Version, VRID: a.params.VRID, Priority: priority,
		Interval: a.params.AdvertInterval, Addresses: a.addresses,
	}
	payload, err := packet.Append(nil, a.params.Source, Group, vrrp.PseudoHeaderChecksum)
	if err == nil {
		err = a.sender.Send(payload, a.params.Source)
	}
	if err != nil {
		if text := err.Error(); text != a.sendError {
			a.sendError = text
			a.log.Warn("cannot send adverts", "error", err)
		}
		return
	}
	if a.sendError != "" {
		a.log.Info("adverts are sent again")
		a.sendError = ""
	}
	a.sent++
}

func (a *Actor) publish() {
	dropped := maps.Clone(a.dropped)
	if n := a.overflowed.Load(); n > 0 {
		dropped["overflow"] = n
	}
	a.snapshot.Store(&Snapshot{
		State: a.machine.State(), Reason: a.machine.Reason(), Since: a.epoch.Add(a.machine.Since()),
		Priority: a.params.Priority, AdvertsSent: a.sent, AdvertsReceived: a.received, Dropped: dropped,
	})
}
