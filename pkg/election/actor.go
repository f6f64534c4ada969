package election

import (
	"cmp"
	"context"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/task"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// Sender sends a VRRP message on one segment. It must not block.
type Sender interface {
	Send(payload []byte, source, destination netip.Addr) error
	// SendFrom sends it to a multicast group with a source MAC address other than that of the interface.
	SendFrom(from kernel.MAC, payload []byte, source, destination netip.Addr) error
}

// Wire sends and receives on the segment of an actor.
type Wire interface {
	Sender
	// Drain delivers to the actors every datagram that has reached this host and has not been delivered yet. It does
	// not block.
	Drain()
	// Claims delivers to the actors what other machines have claimed since the last call. It does not block.
	Claims()
	// Moved is told that the state of an actor has changed, after its snapshot shows that. It does not block.
	Moved()
}

// Holder receives the decisions of the election about the VIPs of an instance. Its methods only record them; they do
// not wait for the kernel.
type Holder interface {
	// Acquire requests the VIPs. silent says that the last holder stopped sending adverts without resigning, so that it
	// may still answer for them until its lease has expired.
	Acquire(instance config.InstanceID, silent bool)
	Release(instance config.InstanceID)
	// Retain requests that they stay, for a time at most, although another director is MASTER, or is about to be: they are not
	// defended.
	Retain(instance config.InstanceID, within time.Duration)
	// Announce requests announcements of VIPs that are already held.
	Announce(instance config.InstanceID)
	// Outranked reports an advert of a MASTER that should give way to this one. With hold 0 the VIPs are announced now, and
	// again when it no longer answers for them; otherwise not before hold has passed without another report.
	Outranked(instance config.InstanceID, hold time.Duration)
	// Ask requests a question to the network whether another machine has a VIP that is held.
	Ask(instance config.InstanceID, vip netip.Addr)
}

// Options are the settings of an Actor; all fields are required unless marked optional.
type Options struct {
	ID        config.InstanceID
	Name      string // for display
	Params    vrrp.Params
	Addresses []netip.Addr // the VIPs that adverts list
	Excluded  []netip.Addr // VIPs that they do not list
	Peers     vrrp.Peers   // optional
	Wire      Wire
	Holder    Holder
	Log       *slog.Logger
	// Suspended returns the total time for which the host has been suspended, which the monotonic clock does not count.
	// Optional.
	Suspended func() time.Duration
	// Epoch is when the time of the machine begins; optional for an actor that joins no group.
	Epoch Epoch
	// StartupDelay is the time after the start of Run in which the instance does not become MASTER.
	StartupDelay time.Duration
	// Deaf is called when Run begins, and returns for how long the instance waits with becoming MASTER until another machine is
	// heard on its link: see vrrp.Deaf. Optional.
	Deaf func() time.Duration
	// Record is called for each state change and must return at once. Optional.
	Record func(event.Event)
	// Outranked is called for each advert of lower rank that this director has received as MASTER, and must return at once.
	// Optional.
	Outranked func()
	// Recorded is how many events Record returns, 1 to MaxRecorded; 0 means MaxRecorded.
	Recorded int
	// Alarm is the timer of the instances that are BACKUP. Optional: without it the instance has a timer of its own.
	Alarm *Alarm
}

// Actor runs one VRRP instance.
type Actor struct {
	group     atomic.Pointer[Group] // its lock guards what has no lock of its own
	id        config.InstanceID
	name      string // for display
	task      string // the name at the start
	rootLog   *slog.Logger
	params    vrrp.Params
	addresses []netip.Addr
	peers     vrrp.Peers
	wire      Wire
	holder    Holder
	log       *slog.Logger
	suspended func() time.Duration
	record    func(event.Event)
	outranked func()
	delay     time.Duration // of the start
	deaf      func() time.Duration
	alarm     *Alarm
	heart     *heartbeat.Signal // of Run
	watched   bool              // the Alarm looks after the instance, and Run has no timer

	epoch    time.Time
	slept    time.Duration // the result of suspended at epoch, and
	asleep   time.Duration // how much longer it was when Run last woke
	ago      time.Duration // how old the datagram is that is being processed; 0: none
	machine  *vrrp.Machine
	recorder recorder
	desired  desired
	inbox    *inbox
	more     time.Duration // since epoch: when the next datagram in the inbox may be taken; 0: the inbox is empty
	armed    time.Duration // since epoch: when the timer of Run expires, or the Alarm looks
	known    classified    // the last advert that was obeyed; none after a change of what its meaning depends on
	commands chan func(*Actor)
	done     chan struct{}
	ready    task.Latch
	snapshot atomic.Pointer[Snapshot]

	stalled, unfit string // why this director is degraded; "" if it is not

	since          time.Time     // when the current state was entered,
	sinceAt        time.Duration // on the machine's clock
	sent, received atomic.Uint64
	lateness       Lateness
	late           lateAdverts
	dropped        map[string]uint64
	guard          vrrp.Guard
	floodMeter     floodMeter
	sightings      vrrp.Sightings
	claims         vrrp.Claims
	inquiry        vrrp.Inquiry
	checkEvery     time.Duration                  // see Desired.ConflictCheck
	contested      bool                           // another MASTER holds the VIPs, too
	logged         []netip.Addr                   // peers
	claimable      atomic.Pointer[[]netip.Addr]   // all VIPs, for the link
	carried        atomic.Pointer[vrrp.Transport] // likewise
	heard          map[netip.Addr]time.Time       // when a unicast peer was last heard
	echo           bool                           // a packet from our own address was received,
	echoed         time.Duration                  // the last one at this time since epoch
	published      time.Duration                  // since epoch
	quiet          bool                           // the published snapshot stays true while the MASTER repeats its advert
	spilt          uint64                         // the part of the inbox's overflow that the flood meter has counted
	promoted       time.Duration                  // when it last became MASTER, on the machine's clock
	succeeded      map[netip.Addr]time.Duration   // when another machine last claimed a VIP, on the machine's clock: the successor
	stallTold      time.Duration                  // when a stall was last logged
	sendError      string                         // the last error logged, so that a failed link is logged once and not every second
}

// New returns an actor in INIT. Run starts it.
func New(o Options) *Actor {
	a := &Actor{
		id: o.ID, name: o.Name, task: "the election of " + o.Name, rootLog: o.Log, params: o.Params, addresses: o.Addresses, peers: o.Peers, wire: o.Wire, holder: o.Holder,
		suspended: o.Suspended, record: o.Record, outranked: o.Outranked, delay: o.StartupDelay, deaf: o.Deaf, alarm: o.Alarm,
		log:      o.Log.With("instance", o.Name, "vrid", o.Params.VRID),
		epoch:    o.Epoch.At,
		slept:    o.Epoch.Slept,
		inbox:    newInbox(),
		commands: make(chan func(*Actor), 16),
		done:     make(chan struct{}),
		dropped:  map[string]uint64{},
	}
	a.machine = vrrp.NewMachine(o.Params)
	a.desired.last = Desired{Name: o.Name, Params: o.Params, Addresses: o.Addresses, Excluded: o.Excluded, Peers: o.Peers}
	a.claim(a.desired.last)
	a.carried.Store(&o.Peers.Transport)
	a.recorder.trace = vrrp.NewTrace(a.machine, cmp.Or(o.Recorded, MaxRecorded))
	if a.suspended == nil {
		a.suspended = func() time.Duration { return 0 }
	}
	if a.record == nil {
		a.record = func(event.Event) {}
	}
	if a.outranked == nil {
		a.outranked = func() {}
	}
	if a.epoch.IsZero() {
		a.epoch, a.slept = time.Now(), a.suspended()
	}
	alone := &Group{members: []*Actor{a}}
	alone.sync.SetSize(1)
	alone.sync.Add(o.Name, a.machine, vrrp.Condition{})
	a.group.Store(alone)
	a.stallTold = -stallLogEvery
	a.publish()
	return a
}

// Run takes part in the election until ctx ends, then resigns: a MASTER sends priority 0 and releases its VIPs.
func (a *Actor) Run(ctx context.Context) error {
	defer close(a.done)
	heart := heartbeat.From(ctx)
	defer a.alarm.remove(a)
	a.lock()
	a.heart = heart
	a.awake()
	a.runCommands() // apply a fault that is already known first, so that an address owner does not become MASTER
	if a.deaf != nil {
		if most := a.deaf(); most > 0 {
			a.step(vrrp.Deaf{For: most})
		}
	}
	a.step(vrrp.Startup{Delay: a.delay})
	a.ready.Close()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		heart.Beat()
		wait := a.arm()
		if a.watched = a.idle() && wait > 0; a.watched {
			timer.Stop()
			a.alarm.set(a, wait)
		} else {
			timer.Reset(wait)
		}
		a.unlock()
		var command func(*Actor)
		select {
		case <-ctx.Done():
			a.lock()
			heart.Stop()
			a.stop()
			a.unlock()
			return nil
		case <-a.inbox.wake:
		case command = <-a.commands:
		case <-timer.C:
		}
		a.lock()
		a.awake()
		switch {
		case command != nil:
			a.drain() // any step may find that the timer has expired
			command(a)
		case time.Since(a.epoch) >= a.armed:
			a.drain()
			a.tick()
		default:
			a.receiveAll()
		}
		a.lookForSuccessor()
	}
}

// tick tells the machine that its timer has expired; otherwise it only keeps the snapshot fresh.
func (a *Actor) tick() {
	if at, ok := a.machine.Deadline(); ok && a.now() >= at {
		a.step(vrrp.Tick{})
		return
	}
	a.group.Load().follow(a) // the hold-off of the group may be over
	if !a.current() {
		a.publish()
	}
}

// stop ends the part of the instance in the election. The others of its group go on.
func (a *Actor) stop() {
	g := a.group.Load()
	g.remove(a)
	a.apply(vrrp.Shutdown{})
	if len(g.members) > 0 {
		g.follow(g.members[0])
	}
}

// Name implements task.Task.
func (a *Actor) Name() string { return a.task }

// Ready is closed when the instance takes part in the election.
func (a *Actor) Ready() <-chan struct{} { return a.ready.Ready() }

// Deliver passes a received datagram to the instance. It never blocks, and does not keep the payload.
func (a *Actor) Deliver(d vrrp.Datagram) { a.deliver(d, &moment{}) }

// deliver is Deliver for one of several datagrams that are read at the same moment.
func (a *Actor) deliver(d vrrp.Datagram, at *moment) {
	if !a.follow(d, at) {
		a.inbox.put(time.Since(a.epoch), d)
	}
}

// Tell passes one event to the machine: readiness, faults, a lost lease.
func (a *Actor) Tell(event vrrp.Event) {
	a.command(func(a *Actor) { a.step(event) })
}

// Stalled tells the machine that a loop of this director has stalled, "" that none has. It does not block: it returns
// false if the command queue of the actor is full.
func (a *Actor) Stalled(reason string) bool {
	select {
	case a.commands <- func(a *Actor) { a.degrade(&a.stalled, reason) }:
		return true
	default:
		return false
	}
}

// PeerLost tells the instance that BFD has found a peer to be gone. The datagrams that have reached this host decide
// first: another director may have taken over already. It does not block: it returns false if the command queue is full.
func (a *Actor) PeerLost(e vrrp.PeerLost) bool {
	select {
	case a.commands <- func(a *Actor) { a.losePeer(e) }:
		return true
	default:
		return false
	}
}

func (a *Actor) losePeer(e vrrp.PeerLost) {
	for _, b := range a.group.Load().members {
		b.wire.Drain()
	}
	a.drain()
	a.step(e)
}

// degrade sets one of the reasons for which this director is degraded, and tells the machine all of them.
func (a *Actor) degrade(which *string, reason string) {
	*which = reason
	both := a.stalled
	if both != "" && a.unfit != "" {
		both += "; "
	}
	a.step(vrrp.Degraded{Reason: both + a.unfit})
}

// Reconfigure changes the parameters, the VIPs listed in adverts and the peers without a change of state.
func (a *Actor) Reconfigure(p vrrp.Params, addresses []netip.Addr, peers vrrp.Peers) {
	a.carried.Store(&peers.Transport)
	a.command(func(a *Actor) {
		a.params, a.addresses, a.peers, a.known = p, addresses, peers, classified{}
		a.forgetPeers()
		a.step(vrrp.Reconfigure{Params: p})
	})
}

func (a *Actor) command(f func(*Actor)) {
	select {
	case a.commands <- f:
	case <-a.done:
	}
}

// runCommands runs the queued commands.
func (a *Actor) runCommands() {
	for {
		select {
		case command := <-a.commands:
			command(a)
		default:
			return
		}
	}
}

// drain processes every queued datagram of the group: after a stall the adverts received in the meantime decide, not the
// clock. The link's own goroutine may not have run yet, so the sockets are read from here if the result depends on them.
func (a *Actor) drain() { a.group.Load().drain(a) }

// receiveAll processes the datagrams in the inbox.
func (a *Actor) receiveAll() {
	var all []vrrp.Datagram
	all, a.more = a.inbox.take(time.Since(a.epoch))
	a.quiet = a.quiet && len(all) == 0
	for _, d := range all {
		a.receive(d)
	}
}

// now is the machine's clock. It includes the time for which this host was suspended, because the peers kept running.
// While a datagram is processed it is the time at which that arrived.
func (a *Actor) now() time.Duration { return time.Since(a.epoch) + a.asleep - a.ago }

// awake reads for how long the host was suspended. That takes three system calls, so it is done once for each time that Run
// wakes, and not for each use of the clock.
func (a *Actor) awake() { a.asleep = a.suspended() - a.slept }

func (a *Actor) receive(d vrrp.Datagram) {
	a.ago = d.Age
	defer func() { a.ago = 0 }()
	now := a.now()
	a.quiet = a.quiet && a.remembers(d)
	h, advert, vips := a.classify(d)
	a.sightings.Note(now, h, a.params, vips)
	a.hear(h)
	admit := func() bool {
		why := a.guard.Admit(now, a.machine.State(), a.machine.EffectiveParams(), advert.(vrrp.Advert))
		if why != vrrp.DropNone {
			a.ignore(d, why)
		}
		return why == vrrp.DropNone
	}
	switch {
	case h.Standing == vrrp.Elsewhere: // the link has counted it
	case h.Standing == vrrp.Obeyed && admit():
		a.received.Add(1)
		if a.log.Enabled(context.Background(), slog.LevelDebug) {
			a.log.Debug("received an advert", "source", d.Source, "priority", h.Packet.Priority, "interval", h.Packet.Interval, "addresses", h.Packet.Addresses)
		}
		a.logPeer(d.Source, h.Packet.Priority)
		a.step(advert)
	case h.Standing == vrrp.Obeyed:
	case h.Standing == vrrp.Refused && !a.peers.IgnoreRefused && admit():
		a.refuse(d, h)
		a.step(vrrp.Evidence{
			Source: h.Source, Priority: h.Packet.Priority, Interval: h.Packet.Interval, Director: h.Director,
			Version: h.Packet.Version, AuthType: h.Packet.AuthType, Why: h.Drop,
		})
	case h.Standing == vrrp.Refused && !a.peers.IgnoreRefused:
	default:
		a.ignore(d, h.Drop)
	}
}

// step passes an event to the instance, and carries out what follows for its group.
func (a *Actor) step(event vrrp.Event) {
	g := a.group.Load()
	if event = g.sync.Filter(a.machine, event); event != nil {
		a.apply(event)
	}
	g.follow(a)
}

// apply passes an event to the machine.
func (a *Actor) apply(event vrrp.Event) {
	due, _ := a.machine.Deadline()
	now, master := a.now(), a.machine.State() == vrrp.Master
	sent := a.sent.Load()
	var moved []vrrp.Transition
	for _, action := range a.recorder.step(a.machine, now, event) {
		if t, is := action.(vrrp.Transition); is {
			moved = append(moved, t)
			continue
		}
		a.perform(action, now-due)
	}
	defer a.tell(moved) // after the snapshot, which those who are told read
	if a.machine.State() != vrrp.Master {
		a.sendError = "" // it has nothing to send
	} else {
		a.promoted = a.machine.Since()
	}
	if master && now >= due && a.sent.Load() > sent {
		at := a.now()
		a.lateness.Add(at - due)
		a.late.add(at, at-due, a.params.AdvertInterval)
	}
	switch event.(type) {
	case vrrp.Advert, vrrp.Tick: // of which there are many a second
		if a.current() {
			return
		}
	}
	a.publish()
}

// tell reports changes of the state.
func (a *Actor) tell(moved []vrrp.Transition) {
	if len(moved) > 0 {
		a.wire.Moved()
	}
	for _, t := range moved {
		a.record(event.Event{
			Kind: event.InstanceState, Subject: a.name, From: t.From.String(), To: t.To.String(),
			Reason: t.Reason, VirtualRouterID: a.params.VRID,
		})
	}
}

// perform carries out an action of a Step. late is how long after its deadline the Step ran.
func (a *Actor) perform(action vrrp.Action, late time.Duration) {
	switch action := action.(type) {
	case vrrp.SendAdvert:
		a.advertise(action.Priority)
	case vrrp.Acquire:
		// A peer that has neither resigned nor been preempted may still answer until its lease has expired.
		a.holder.Acquire(a.id, action.Cause != vrrp.CauseResigned && action.Cause != vrrp.CausePreempted)
		if now := a.now(); action.Cause == vrrp.CauseStalled && late > 0 && now-a.stallTold >= stallLogEvery {
			a.stallTold = now
			a.log.Warn("stalled as MASTER, and no other director took over; announcing the VIPs again", "late", late.Round(time.Millisecond).String())
		}
	case vrrp.Release:
		a.holder.Release(a.id)
	case vrrp.Retain:
		a.holder.Retain(a.id, action.For)
	case vrrp.Announce:
		a.holder.Outranked(a.id, action.After)
		if action.Why != vrrp.WhyResigned {
			a.outranked()
		}
	}
}
