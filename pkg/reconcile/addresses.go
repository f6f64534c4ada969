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
	"github.com/lvs-director/lvs-director/pkg/vrrp"
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

	mu      sync.Mutex // guards desired and everything in it, having, removed, leases, troubles, and failures
	desired map[config.InstanceID]*desired
	having  map[kernel.IfAddr][]*desired // those with an address; a director may be BACKUP of hundreds, and misses each VIP
	// removed is when this loop last removed an address, for as long as the kernel's event may still arrive.
	removed map[kernel.IfAddr]time.Duration
	// leases are the kernel lifetimes of the addresses held, by instance; leaseChanged wakes the lease watcher after a
	// change.
	leases       map[config.InstanceID]expiry
	leaseChanged chan struct{}
	troubles     []Trouble // since the last pass
	failures     map[config.InstanceID]failure

	// Owned by Run:
	taken     map[config.InstanceID]*desired // copies of desired, whose memory is used again
	names     []config.InstanceID            // of taken, sorted
	held      map[config.InstanceID]*held
	leftovers map[kernel.IfAddr]*leftover
	sentOn    map[string]time.Duration // when the last announcement was sent, by interface
	budget    int                      // how many repeated announcements this pass may still send
	stopping  bool
}

// desired is what the election and the cluster file want for one instance.
type desired struct {
	vips        VIPs
	want        bool
	retained    time.Duration // until when they are kept for another MASTER, unless they are acquired again; 0: they are not
	acquisition uint64        // counts acquisitions: each starts a new lease timer
	silent      bool
	request     request       // for announcements, since the last pass
	gone        bool          // one of our addresses was reported deleted by another process
	missed      time.Duration // when the newest address dump that lacked one of our addresses began
	first       time.Duration // when the newest dump that listed one of them before the interface's primary address began
	looked      time.Duration // when the newest dump began
	rearranged  time.Duration // when the newest dump in which other addresses had changed began
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
		leases: map[config.InstanceID]expiry{}, leaseChanged: make(chan struct{}, 1), leftovers: map[kernel.IfAddr]*leftover{}, removed: map[kernel.IfAddr]time.Duration{},
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

// Set replaces the list of instances and their VIPs. An instance that is no longer listed is released.
func (a *Addresses) Set(all []VIPs) {
	a.mu.Lock()
	next := make(map[config.InstanceID]*desired, len(all))
	for _, v := range all {
		w := a.desired[v.Instance]
		if w == nil {
			w = &desired{}
		}
		w.vips = v
		next[v.Instance] = w
	}
	a.desired = next
	a.having = map[kernel.IfAddr][]*desired{}
	for _, w := range next {
		for _, p := range w.vips.Addresses {
			at := kernel.IfAddr{Interface: w.vips.On(p), Prefix: p}
			a.having[at] = append(a.having[at], w)
		}
	}
	a.mu.Unlock()
	a.poke()
}

// Acquire requests that the VIPs of an instance are added on this machine. silent: the previous MASTER did not resign.
func (a *Addresses) Acquire(instance config.InstanceID, silent bool) {
	a.change(instance, func(w *desired) {
		w.want, w.silent, w.acquisition, w.retained = true, silent, w.acquisition+1, 0
		a.leases[instance] = expiry{w.acquisition, a.now(), firstLease(w.vips)} // starts now, even if the loop is blocked in the kernel
	})
	a.wakeLeaseWatcher()
}

// Release requests that they are removed.
func (a *Addresses) Release(instance config.InstanceID) {
	a.change(instance, func(w *desired) { w.want, w.retained = false, 0 })
}

// Retain requests that VIPs which are held stay for vrrp.RetainFor at most: another director is MASTER, and has not announced
// them yet. They are not renewed, repaired or announced. Their lease, of which they have two thirds left, ends later.
func (a *Addresses) Retain(instance config.InstanceID) {
	a.change(instance, func(w *desired) {
		if w.want {
			w.retained = a.now() + vrrp.RetainFor
		}
	})
}

// Gone reports that an address was removed from an interface. One of ours is restored, unless its lease lapsed or this
// loop removed it within echoWindow.
func (a *Addresses) Gone(iface string, p netip.Prefix) {
	a.mu.Lock()
	at, ours := a.removed[kernel.IfAddr{Interface: iface, Prefix: p}]
	a.mu.Unlock()
	if !ours || a.now()-at >= echoWindow {
		a.noteAddress(iface, p, func(w *desired) { w.gone = true })
	}
}

// Missed reports that a dump of an interface's addresses, begun at looked, lacked an address: the event for its removal
// may have been lost. The address is restored if the last write was before that dump.
func (a *Addresses) Missed(iface string, p netip.Prefix, looked time.Time) {
	a.noteAddress(iface, p, func(w *desired) { w.missed = max(w.missed, looked.Sub(a.epoch)) })
}

// Misplaced reports that a dump of an interface's addresses, begun at looked, listed a VIP before the machine's own
// address there: the latter was deleted and added again. The kernel uses the first address as the default source
// address, so the VIP is moved behind it.
func (a *Addresses) Misplaced(iface string, p netip.Prefix, looked time.Time) {
	a.noteAddress(iface, p, func(w *desired) { w.first = max(w.first, looked.Sub(a.epoch)) })
}

// Looked reports that a dump of all addresses began at looked; rearranged: addresses other than VIPs have changed since
// the last one. It is called after Missed and Misplaced for that dump.
func (a *Addresses) Looked(looked time.Time, rearranged bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, w := range a.desired {
		w.looked = max(w.looked, looked.Sub(a.epoch))
		if rearranged {
			w.rearranged = w.looked
		}
	}
}

func (a *Addresses) noteAddress(iface string, p netip.Prefix, note func(*desired)) {
	a.mu.Lock()
	ours := false
	for _, w := range a.having[kernel.IfAddr{Interface: iface, Prefix: p}] {
		if w.want && w.retained == 0 {
			note(w)
			ours = true
		}
	}
	a.mu.Unlock()
	if ours {
		a.poke()
	}
}

func (a *Addresses) change(instance config.InstanceID, f func(*desired)) {
	a.mu.Lock()
	if w := a.desired[instance]; w != nil {
		f(w)
	}
	a.mu.Unlock()
	a.poke()
}

func (a *Addresses) poke() {
	select {
	case a.dirty <- struct{}{}:
	default:
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
		timer.Reset(min(wait, heartbeat.Every))
	}
}

// Name implements task.Task.
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

// takeDesired copies what is desired to taken and clears the one-time requests.
func (a *Addresses) takeDesired() {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := len(a.taken)
	maps.DeleteFunc(a.taken, func(name config.InstanceID, _ *desired) bool { return a.desired[name] == nil })
	changed := len(a.taken) != before
	for name, w := range a.desired {
		t := a.taken[name]
		if t == nil {
			t, changed = &desired{}, true
			a.taken[name] = t
		}
		*t = *w
		w.request, w.gone = request{}, false
	}
	if changed {
		a.names = slices.Sorted(maps.Keys(a.taken))
	}
}

// keep maintains the VIPs of one instance and returns the time until its next action is due. The clock is read again
// for each instance and before each write, because a kernel call may have blocked the loop.
func (a *Addresses) keep(name config.InstanceID, w *desired) time.Duration {
	h := a.held[name]
	if h == nil || h.acquisition != w.acquisition {
		h = begin(h, w, a.now())
		a.held[name] = h
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
	delete(a.held, name)
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
