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

// AddressKernel changes addresses of interfaces. Its calls have deadlines of their own.
type AddressKernel interface {
	// Put adds an address with a kernel lifetime, or renews it.
	Put(iface string, p netip.Prefix, lease time.Duration) error
	// Remove deletes an address; one that is absent is no error.
	Remove(iface string, p netip.Prefix) error
}

// Announcer sends gratuitous ARP for a VIP out of an interface.
type Announcer interface {
	Announce(iface string, vip netip.Addr) error
}

// VIPs are the virtual addresses of one instance, which live and move together.
type VIPs = plan.VIPs

// Addresses is the address loop. Acquire, Release, Announce, Set and Gone only take note and may be called from any
// goroutine; Run does the work.
type Addresses struct {
	kernel    AddressKernel
	announcer Announcer
	lost      func(instance config.InstanceID, reason string)
	log       *slog.Logger
	epoch     time.Time
	dirty     chan struct{}
	ready     task.Latch

	mu   sync.Mutex // guards wish and everything in it, removed, and leases
	wish map[config.InstanceID]*wish
	// removed is when this loop itself removed an address the last time, as long as the word of that may come.
	removed map[kernel.IfAddr]time.Duration
	// leases are those that the kernel counts for what is held, by instance; moved tells the sentinel of a new one.
	leases map[config.InstanceID]expiry
	moved  chan struct{}

	// Owned by Run:
	held     map[config.InstanceID]*held
	left     map[kernel.IfAddr]*leftover
	stopping bool
}

// wish is what the election and the cluster file want of one instance.
type wish struct {
	vips     VIPs
	want     bool
	tenure   uint64 // counts acquisitions: a new one starts a new tenure
	silent   bool
	announce bool          // an extra announcement is asked for
	gone     bool          // one of our addresses was reported deleted by another process
	missed   time.Duration // the newest look that did not find one of our addresses
	first    time.Duration // the newest look that found one of them before this machine's own address
}

const (
	retryLeast = 50 * time.Millisecond
	retryMost  = time.Second
	// repairEvery limits how often an address that somebody keeps deleting is put back.
	repairEvery = 20 * time.Millisecond
	// echoes is how long the word of our own removal of an address may be on its way, on a machine that has no CPU for us.
	// Somebody else's meanwhile is found by a look.
	echoes = 5 * time.Second
	// repeatLog is how long the same repair is only counted.
	repeatLog = time.Minute
)

// NewAddresses makes the loop. lost is called, from the loop, when the VIPs of an instance must be taken for gone because
// their lease could not be renewed in time; it must not block for long.
func NewAddresses(addresses AddressKernel, announcer Announcer, lost func(instance config.InstanceID, reason string), log *slog.Logger) *Addresses {
	return &Addresses{
		kernel: addresses, announcer: announcer, lost: lost, log: log, epoch: time.Now(),
		dirty: make(chan struct{}, 1), wish: map[config.InstanceID]*wish{}, held: map[config.InstanceID]*held{},
		leases: map[config.InstanceID]expiry{}, moved: make(chan struct{}, 1), left: map[kernel.IfAddr]*leftover{}, removed: map[kernel.IfAddr]time.Duration{},
	}
}

// Set says which instances there are and what their VIPs are. An instance that is no longer named is released.
func (a *Addresses) Set(all []VIPs) {
	a.mu.Lock()
	next := make(map[config.InstanceID]*wish, len(all))
	for _, v := range all {
		w := a.wish[v.Instance]
		if w == nil {
			w = &wish{}
		}
		w.vips = v
		next[v.Instance] = w
	}
	a.wish = next
	a.mu.Unlock()
	a.poke()
}

// Acquire wants the VIPs of an instance on this machine.
func (a *Addresses) Acquire(instance config.InstanceID, silent bool) {
	a.change(instance, func(w *wish) {
		w.want, w.silent, w.tenure = true, silent, w.tenure+1
		a.leases[instance] = expiry{w.tenure, a.now(), firstLease(w.vips)} // counted also while the loop hangs
	})
	a.expiryMoved()
}

// Release wants them gone.
func (a *Addresses) Release(instance config.InstanceID) {
	a.change(instance, func(w *wish) { w.want = false })
}

// Announce wants gratuitous ARP for VIPs that are held.
func (a *Addresses) Announce(instance config.InstanceID) {
	a.change(instance, func(w *wish) { w.announce = true })
}

// Gone reports that a process removed an address from an interface; ours is put back, if its lease had not lapsed and it
// was not this loop that removed it lately.
func (a *Addresses) Gone(iface string, p netip.Prefix) {
	a.mu.Lock()
	at, ours := a.removed[kernel.IfAddr{Interface: iface, Prefix: p}]
	a.mu.Unlock()
	if !ours || a.now()-at >= echoes {
		a.lack(iface, p, func(w *wish) { w.gone = true })
	}
}

// Missed reports that a look at an interface, begun at looked, did not find an address: the event that told of its
// disappearance may be lost. It is put back if it was there before that look.
func (a *Addresses) Missed(iface string, p netip.Prefix, looked time.Time) {
	a.lack(iface, p, func(w *wish) { w.missed = max(w.missed, looked.Sub(a.epoch)) })
}

// Misplaced reports that a look at an interface, begun at looked, found an address before this machine's own one there:
// the own one was deleted and came back. The kernel takes the first address for the source of what names none, so the
// VIP is put behind it.
func (a *Addresses) Misplaced(iface string, p netip.Prefix, looked time.Time) {
	a.lack(iface, p, func(w *wish) { w.first = max(w.first, looked.Sub(a.epoch)) })
}

func (a *Addresses) lack(iface string, p netip.Prefix, note func(*wish)) {
	a.mu.Lock()
	ours := false
	for _, w := range a.wish {
		if w.want && w.vips.Interface == iface && slices.Contains(w.vips.Addresses, p) {
			note(w)
			ours = true
		}
	}
	a.mu.Unlock()
	if ours {
		a.poke()
	}
}

func (a *Addresses) change(instance config.InstanceID, f func(*wish)) {
	a.mu.Lock()
	if w := a.wish[instance]; w != nil {
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

// Run keeps the VIPs until ctx ends, then removes those that it holds.
func (a *Addresses) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var sentinel sync.WaitGroup
	sentinel.Go(func() { a.watchLeases(ctx) })
	defer sentinel.Wait()
	heart := heartbeat.From(ctx)
	defer heart.Stop()
	for {
		select {
		case <-ctx.Done():
			a.stopping = true
			for _, name := range slices.Sorted(maps.Keys(a.held)) {
				a.drop(name, "the daemon stops")
			}
			a.clear() // once more; whoever ends the daemon looks again for what is left
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

// pass brings every instance to what is wanted and returns how long nothing is due. What is given up comes first: a VIP
// that moves from one instance to another in one reload must not be removed after it was taken.
func (a *Addresses) pass() time.Duration {
	wishes := a.wishes()
	for _, name := range slices.Sorted(maps.Keys(a.held)) {
		if w, named := wishes[name]; !named {
			a.drop(name, "no longer in the cluster file")
		} else if !w.want {
			a.drop(name, "no longer MASTER")
		}
	}
	names := slices.Sorted(maps.Keys(wishes))
	for _, name := range names {
		if h, w := a.held[name], wishes[name]; h != nil {
			a.follow(h, w.vips)
		}
	}
	next := a.clear()
	for _, name := range names {
		if w := wishes[name]; w.want {
			next = min(next, a.keep(name, w))
		}
	}
	return next
}

// wishes takes a copy and clears what is asked for once.
func (a *Addresses) wishes() map[config.InstanceID]wish {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make(map[config.InstanceID]wish, len(a.wish))
	for name, w := range a.wish {
		all[name] = *w
		w.announce, w.gone = false, false
	}
	return all
}

// keep holds the VIPs of one instance and returns how long nothing of it is due. The clock is read anew for each instance
// and before each write, for the kernel may have kept the loop waiting.
func (a *Addresses) keep(name config.InstanceID, w wish) time.Duration {
	h := a.held[name]
	if h == nil || h.number != w.tenure {
		h = begin(h, w, a.now())
		a.held[name] = h
	}
	h.note(w)
	if h.due(a.now()) {
		a.put(name, h)
	}
	a.setLease(name, h)
	if h.tenure.lapsed(a.now()) {
		a.lapse(name, h)
		return time.Hour
	}
	if w.announce {
		h.tenure.announce(a.now())
	}
	if at, ok := h.tenure.nextAnnouncement(); ok && h.tenure.added && a.now() >= at && !h.tenure.stalled(a.now()) {
		a.announce(h)
		h.tenure.announced(a.now())
	}
	return h.next(a.now())
}

// follow removes what a reload took out of the instance; what it added comes with the next put, which is now. The lease
// of the tenure stays the one that the kernel was given, until the kernel has the new one.
func (a *Addresses) follow(h *held, vips VIPs) {
	if h.vips.Interface == vips.Interface && slices.Equal(h.vips.Addresses, vips.Addresses) && h.vips.Lease == vips.Lease {
		return
	}
	for _, p := range h.vips.Addresses {
		if h.vips.Interface != vips.Interface || !slices.Contains(vips.Addresses, p) {
			a.remove(h.vips, p)
		}
	}
	h.vips, h.again = vips, true
	h.tenure.announce(a.now())
}

// put writes the VIPs, unless it is too late for that.
func (a *Addresses) put(name config.InstanceID, h *held) {
	begun := a.now()
	for _, p := range h.vips.Addresses {
		now := a.now()
		if h.tenure.lapsed(now) {
			return
		}
		if h.behind && !a.remove(h.vips, p) {
			h.failed(now)
			return
		}
		if err := a.kernel.Put(h.vips.Interface, p, h.vips.Lease); err != nil {
			h.failed(now)
			if text := err.Error(); text != h.logged {
				h.logged = text
				a.log.Error("cannot keep a VIP; trying again", "instance", string(name), "vip", p.String(), "error", err)
			}
			return
		}
	}
	// The kernel may have kept the last write waiting until the lease was over, and then created the address anew.
	if h.tenure.lapsed(a.now()) {
		return
	}
	switch {
	case !h.tenure.added:
		a.log.Info("VIPs are up", "instance", string(name), "interface", h.vips.Interface, "lease", h.vips.Lease.String(),
			"took", (a.now() - h.tenure.since).String())
	case h.foreign:
		a.repaired(name, h)
		h.tenure.announceAgain(begun)
	}
	h.written(begun, a.now())
}

func (a *Addresses) announce(h *held) {
	for _, p := range h.vips.Addresses {
		if err := a.announcer.Announce(h.vips.Interface, p.Addr()); err != nil {
			a.log.Warn("cannot send gratuitous ARP", "interface", h.vips.Interface, "vip", p.Addr().String(), "error", err)
			return
		}
	}
}

// repaired tells of a repair. Two hands that fight over an address would fill a disk: of those that follow at once there
// is one line a minute.
func (a *Addresses) repaired(name config.InstanceID, h *held) {
	h.repairs++
	now := a.now()
	if h.repairs > 1 && now-h.told < repeatLog {
		return
	}
	h.told = now
	text := "VIPs were deleted or changed by somebody else and are put back"
	if h.behind {
		text = "VIPs stood before the interface's own address and are put behind it"
	}
	a.log.Warn(text, "instance", string(name), "repairs", h.repairs)
}

func (a *Addresses) drop(name config.InstanceID, why string) {
	h := a.held[name]
	if h == nil {
		return
	}
	if h.tenure.lapsed(a.now()) {
		why = "their lease lapsed"
	}
	a.setLease(name, nil)
	failed := false
	for _, p := range h.vips.Addresses {
		failed = !a.remove(h.vips, p) || failed
	}
	delete(a.held, name)
	if !failed {
		a.log.Info("VIPs are removed", "instance", string(name), "interface", h.vips.Interface, "reason", why)
	}
}

// remove deletes one address of an instance, unless another one wants it by now. After a failure clear tries again.
func (a *Addresses) remove(vips VIPs, p netip.Prefix) bool {
	if !a.stopping && a.wantedBy(vips.Interface, p, func(name config.InstanceID) bool { return name != vips.Instance }) {
		return true
	}
	if err := a.take(vips.Interface, p); err != nil {
		a.log.Error("cannot remove a VIP; trying again, and its lease ends", "interface", vips.Interface, "vip", p.String(), "error", err)
		a.leave(kernel.IfAddr{Interface: vips.Interface, Prefix: p})
		return false
	}
	return true
}

// take removes an address from the kernel, and remembers it for the word of it that comes later.
func (a *Addresses) take(iface string, p netip.Prefix) error {
	now := a.now()
	a.mu.Lock()
	maps.DeleteFunc(a.removed, func(_ kernel.IfAddr, at time.Duration) bool { return now-at >= echoes })
	a.removed[kernel.IfAddr{Interface: iface, Prefix: p}] = now
	a.mu.Unlock()
	return a.kernel.Remove(iface, p)
}

// wantedBy says whether one of some instances wants an address on an interface now.
func (a *Addresses) wantedBy(iface string, p netip.Prefix, some func(config.InstanceID) bool) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for name, w := range a.wish {
		if some(name) && w.want && w.vips.Interface == iface && slices.Contains(w.vips.Addresses, p) {
			return true
		}
	}
	return false
}
