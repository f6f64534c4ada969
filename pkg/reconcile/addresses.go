package reconcile

import (
	"context"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/task"
)

// AddressKernel changes addresses of interfaces. Every call has its own deadline.
type AddressKernel interface {
	// PutAs adds an address with a kernel lifetime, a label, a scope and a broadcast address, or renews it.
	PutAs(iface string, p netip.Prefix, lease time.Duration, as kernel.Placement) error
	// Remove deletes an address. Removing an absent address is not an error.
	Remove(iface string, p netip.Prefix) error
	// SetUp and SetDown set an interface of the director up or down. It is no error if it is already.
	SetUp(iface string) error
	SetDown(iface string) error
}

// Announcer tells the neighbours on an interface where a VIP is: by gratuitous ARP, or a neighbour advertisement.
type Announcer interface {
	// Open opens what Announce needs on an interface, if it is not open yet. That takes up to milliseconds, after which the
	// announcement may no longer be wanted. Its errors are those of Announce.
	Open(iface string) error
	Announce(iface string, vip netip.Addr) error
	// Ask asks them whether one of them has the VIP as well.
	Ask(iface string, vip netip.Addr) error
}

// VIPs are the virtual addresses of one instance. They are added and removed together.
type VIPs = plan.VIPs

// Addresses is the address loop. Acquire, Release, Announce, Outranked, Ask, Set and Gone only record what is wanted and may be called
// from any goroutine; Run carries it out.
type Addresses struct {
	kernel    AddressKernel
	announcer Announcer
	lost      func(instance config.InstanceID, reason string)
	follower  func(instance config.InstanceID, held bool)
	log       *slog.Logger
	epoch     time.Time
	dirty     chan struct{}
	ready     task.Latch

	mu      sync.Mutex // guards desired and everything in it, having, removed, leases, accepted, troubles, and failures
	desired map[config.InstanceID]*desired
	having  map[kernel.IfAddr][]*desired // those with an address; a director may be BACKUP of hundreds, and misses each VIP
	// removed is when this loop last removed an address, for as long as the kernel's event may still arrive.
	removed map[kernel.IfAddr]time.Duration
	// leases are the kernel lifetimes of the addresses held, by instance; leaseChanged wakes the lease watcher after a
	// change.
	leases       map[config.InstanceID]expiry
	leaseChanged chan struct{}
	// accepted is until when the kernel keeps the VIPs of an instance, all of which it has accepted. The elections do not use it.
	accepted map[config.InstanceID]time.Duration
	troubles []Trouble // since the last pass
	failures map[config.InstanceID]failure

	// Owned by Run:
	taken     map[config.InstanceID]*desired // copies of desired, whose memory is used again
	names     []config.InstanceID            // of taken, sorted
	held      map[config.InstanceID]*held    // changed with mu, for Holds
	leftovers map[kernel.IfAddr]*leftover
	sentOn    map[string]time.Duration // when the last announcement was sent, by interface
	budget    int                      // how many repeated announcements this pass may still send
	stopping  bool
}

const (
	retryMin = 50 * time.Millisecond
	retryMax = time.Second
	// repairEvery is the minimum interval between restores of an address that another process keeps deleting.
	repairEvery = 20 * time.Millisecond
	// echoWindow is how long the event for our own removal of an address may be delayed on an overloaded machine. A
	// deletion by another process in this window is found by the next address dump.
	echoWindow = 5 * time.Second
	// repeatLog is how long further repairs of the same instance are only counted, not logged.
	repeatLog = time.Minute
)

// NewAddresses makes the loop. lost is called when the VIPs of an instance must be considered gone because their lease
// could not be renewed in time. It is called from the loop or from the lease watcher and must not block for long.
func NewAddresses(addresses AddressKernel, announcer Announcer, lost func(instance config.InstanceID, reason string), log *slog.Logger) *Addresses {
	return &Addresses{
		kernel: addresses, announcer: announcer, lost: lost, log: log, epoch: time.Now(),
		dirty: make(chan struct{}, 1), desired: map[config.InstanceID]*desired{}, taken: map[config.InstanceID]*desired{}, held: map[config.InstanceID]*held{},
		leases: map[config.InstanceID]expiry{}, accepted: map[config.InstanceID]time.Duration{}, leaseChanged: make(chan struct{}, 1), leftovers: map[kernel.IfAddr]*leftover{}, removed: map[kernel.IfAddr]time.Duration{},
		failures: map[config.InstanceID]failure{}, sentOn: map[string]time.Duration{},
	}
}

// Tell sets what is called when all VIPs of an instance were added, and before they are removed. It must not block. Call
// Tell before Run.
func (a *Addresses) Tell(follower func(instance config.InstanceID, held bool)) { a.follower = follower }

func (a *Addresses) tell(instance config.InstanceID, held bool) {
	if a.follower != nil {
		a.follower(instance, held)
	}
}

// Run maintains the VIPs until ctx ends, then removes those that it holds.
func (a *Addresses) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var leaseWatcher sync.WaitGroup
	leaseWatcher.Go(func() { a.watchLeases(ctx) })
	defer leaseWatcher.Wait()
	heart := heartbeat.From(ctx)
	defer heart.Stop()
	for {
		select {
		case <-ctx.Done():
			a.stopping = true
			for _, name := range slices.Sorted(maps.Keys(a.held)) {
				a.drop(name, "the daemon stops")
			}
			a.retryLeftovers() // one more attempt; the director's shutdown checks again for leftovers
			return nil
		case <-a.dirty:
		case <-timer.C:
		}
		heart.Beat()
		wait := a.pass()
		a.ready.Close()
		timer.Reset(min(wait, heartbeat.Until(time.Now(), heartbeat.Every)))
	}
}

// Name implements task.Task.
// Holds reports whether the loop holds VIPs of an instance: it has begun to add them, and has not removed them all. It may be called
// from any goroutine.
func (a *Addresses) Holds(instance config.InstanceID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.held[instance] != nil
}

func (a *Addresses) setHeld(instance config.InstanceID, h *held) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if h == nil {
		delete(a.held, instance)
		return
	}
	a.held[instance] = h
}

func (a *Addresses) Name() string { return "the address loop" }

// Ready is closed after the first pass.
func (a *Addresses) Ready() <-chan struct{} { return a.ready.Ready() }

func (a *Addresses) now() time.Duration { return time.Since(a.epoch) }

// pass brings every instance to its desired state and returns the time until the next action is due. Releases come
// first: a VIP that moves from one instance to another in one reload must not be removed after the new instance added
// it.
func (a *Addresses) pass() time.Duration {
	a.budget = announcementsPerPass
	a.takeDesired()
	for _, name := range a.unwanted() {
		if a.taken[name] == nil {
			a.drop(name, "no longer in the cluster file")
		} else {
			a.drop(name, "no longer MASTER")
		}
	}
	for _, name := range a.names {
		if h := a.held[name]; h != nil && a.taken[name].retained == 0 {
			a.follow(h, a.taken[name].vips)
		}
	}
	next := a.retryLeftovers()
	for _, name := range a.names {
		switch w := a.taken[name]; {
		case w.want && w.retained > 0:
			if a.held[name] != nil {
				next = min(next, max(w.retained-a.now(), 0))
			}
		case w.want:
			next = min(next, a.keep(name, w))
		}
	}
	a.publishTroubles()
	return next
}

// unwanted returns the instances whose VIPs are held but no longer wanted, sorted.
func (a *Addresses) unwanted() (names []config.InstanceID) {
	for name := range a.held {
		if w := a.taken[name]; w == nil || !w.want || w.retained > 0 && a.endRetained(name, w) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// endRetained reports whether VIPs that were kept for another MASTER are no longer to be kept.
func (a *Addresses) endRetained(name config.InstanceID, w *desired) bool {
	if a.now() < w.retained {
		return false
	}
	a.change(name, func(now *desired) {
		if now.acquisition == w.acquisition {
			now.want = false
		}
	})
	return true
}

// keep maintains the VIPs of one instance and returns the time until its next action is due. The clock is read again
// for each instance and before each write, because a kernel call may have blocked the loop.
func (a *Addresses) keep(name config.InstanceID, w *desired) time.Duration {
	h := a.held[name]
	if h == nil || h.acquisition != w.acquisition {
		h = begin(h, w, a.now())
		a.setHeld(name, h)
	}
	if h.note(w) {
		a.log.Warn("VIPs are still listed before the interface's own address; not moving them again", "instance", h.vips.Label(), "interface", h.vips.Interface)
	}
	if h.due(a.now()) {
		a.put(name, h)
	}
	a.setLease(name, h)
	if h.timer.lapsed(a.now()) {
		a.lapse(name, h)
		return time.Hour
	}
	a.serve(h, w.request)
	return h.next(a.now())
}

// follow removes the VIPs that a reload removed from the instance and makes the next put, which adds new ones, due now.
// The timer keeps the lease that was given to the kernel until the kernel has the new one.
func (a *Addresses) follow(h *held, vips VIPs) {
	h.vips.Name, h.vips.Announcements = vips.Name, vips.Announcements
	h.schedule.set(vips.Announcements)
	stays := func(p netip.Prefix) bool {
		return slices.Contains(vips.Addresses, p) && h.vips.On(p) == vips.On(p) && h.vips.Placements[p.Addr()] == vips.Placements[p.Addr()]
	}
	if slices.Equal(h.vips.Addresses, vips.Addresses) && h.vips.Lease == vips.Lease && !slices.ContainsFunc(vips.Addresses, func(p netip.Prefix) bool { return !stays(p) }) {
		return
	}
	h.added = slices.Clone(vips.Addresses)
	for _, p := range h.vips.Addresses {
		switch {
		case stays(p):
			h.added = slices.DeleteFunc(h.added, func(q netip.Prefix) bool { return p == q })
		case a.moves(h.vips, p):
			a.logMove(h.vips, p)
		case a.remove(h.vips, p):
			a.log.Info("VIP removed", "instance", vips.Label(), "interface", h.vips.On(p), "vip", p.String(), "reason", "no longer in the cluster file")
		}
	}
	if h.vips.Interface != vips.Interface {
		a.lower(h.vips)
	}
	h.vips, h.rewrite = vips, true
	h.schedule.announce(a.now())
}

// put writes the VIPs, unless their lease has lapsed.
func (a *Addresses) put(name config.InstanceID, h *held) {
	begun := a.now()
	if len(h.vips.Addresses) > 0 && h.vips.Virtual() {
		if err := a.kernel.SetUp(h.vips.Interface); err != nil {
			a.fail(name, h, h.vips.Addresses[0], err)
			return
		}
	}
	for _, p := range h.vips.Addresses {
		now := a.now()
		if h.timer.lapsed(now) {
			return
		}
		if h.misplaced && !a.remove(h.vips, p) {
			h.failed(now)
			return
		}
		if err := a.kernel.PutAs(h.vips.On(p), p, h.vips.Lease, h.vips.Placements[p.Addr()]); err != nil {
			a.fail(name, h, p, err)
			return
		}
	}
	// The last write may have blocked in the kernel until the lease had expired, and then have created the address again.
	if h.timer.lapsed(a.now()) {
		return
	}
	switch {
	case !h.timer.added:
		a.log.Info("VIPs are up", "instance", h.vips.Label(), "interface", h.vips.Interface, "lease", h.vips.Lease.String(),
			"took", (a.now() - h.timer.since).String())
		a.tell(name, true)
	case h.foreign:
		a.repaired(name, h)
		h.schedule.announceAgain(begun)
	}
	if h.timer.added {
		for _, p := range h.added {
			a.log.Info("VIP added", "instance", h.vips.Label(), "interface", h.vips.On(p), "vip", p.String())
		}
	}
	h.added = nil
	h.written(begun, a.now())
	a.setAccepted(name, begun+h.vips.Lease)
	a.succeeded(name)
}

// repaired logs a repair. Rate-limited: log at most once a minute while another process keeps deleting the address.
func (a *Addresses) repaired(name config.InstanceID, h *held) {
	h.repairs++
	now := a.now()
	h.restored(now)
	if h.repairs > 1 && now-h.repairLogged < repeatLog {
		return
	}
	h.repairLogged = now
	text := "VIPs were deleted or changed by another process; restored"
	if h.misplaced {
		text = "VIPs were listed before the interface's own address; moved behind it"
	}
	a.log.Warn(text, "instance", h.vips.Label(), "repairs", h.repairs)
}

func (a *Addresses) drop(name config.InstanceID, why string) {
	h := a.held[name]
	if h == nil {
		return
	}
	if h.timer.lapsed(a.now()) {
		why = "their lease lapsed"
	}
	a.setLease(name, nil)
	a.tell(name, false)
	failed, moved := false, 0
	for _, p := range h.vips.Addresses {
		if a.moves(h.vips, p) {
			a.logMove(h.vips, p)
			moved++
			continue
		}
		failed = !a.remove(h.vips, p) || failed
	}
	a.lower(h.vips)
	a.setAccepted(name, 0)
	a.setHeld(name, nil)
	if !failed && moved < len(h.vips.Addresses) {
		a.log.Info("VIPs are removed", "instance", h.vips.Label(), "interface", h.vips.Interface, "reason", why)
	}
}

// lower sets the interface down that the director has added for VIPs, which are no longer there. A BACKUP must not accept
// what is sent to the virtual MAC address (RFC 9568, section 6.4.2).
func (a *Addresses) lower(vips VIPs) {
	if !vips.Virtual() {
		return
	}
	if err := a.kernel.SetDown(vips.Interface); err != nil {
		a.log.Error("cannot set a virtual interface down", "instance", vips.Label(), "interface", vips.Interface, "error", err)
	}
}

// moves reports whether another instance now wants an address of an instance.
func (a *Addresses) moves(vips VIPs, p netip.Prefix) bool {
	return !a.stopping && a.wantedBy(vips.On(p), p, func(name config.InstanceID) bool { return name != vips.Instance })
}

func (a *Addresses) logMove(vips VIPs, p netip.Prefix) {
	a.log.Info("VIP moved to another instance", "instance", vips.Label(), "interface", vips.On(p), "vip", p.String())
}

// remove deletes one address of an instance, unless another instance now wants it. After a failure retryLeftovers
// retries.
func (a *Addresses) remove(vips VIPs, p netip.Prefix) bool {
	if a.moves(vips, p) {
		return true
	}
	if err := a.removeFromKernel(vips.On(p), p); err != nil {
		a.log.Error("cannot remove a VIP; trying again until its lease expires", "interface", vips.On(p), "vip", p.String(), "error", err)
		a.addLeftover(kernel.IfAddr{Interface: vips.On(p), Prefix: p})
		return false
	}
	return true
}

// removeFromKernel removes an address and records the time, so that Gone ignores the event for it.
func (a *Addresses) removeFromKernel(iface string, p netip.Prefix) error {
	now := a.now()
	a.mu.Lock()
	maps.DeleteFunc(a.removed, func(_ kernel.IfAddr, at time.Duration) bool { return now-at >= echoWindow })
	a.removed[kernel.IfAddr{Interface: iface, Prefix: p}] = now
	a.mu.Unlock()
	return a.kernel.Remove(iface, p)
}

// wantedBy reports whether one of the instances selected by some currently wants an address on an interface.
func (a *Addresses) wantedBy(iface string, p netip.Prefix, some func(config.InstanceID) bool) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for name, w := range a.desired {
		if some(name) && w.want && slices.Contains(w.vips.Addresses, p) && w.vips.On(p) == iface {
			return true
		}
	}
	return false
}
