package reconcile

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"
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
type VIPs struct {
	Instance  string
	Interface string
	Addresses []netip.Prefix
	Lease     time.Duration // kernel lifetime, whole seconds
}

// Addresses is the address loop. Acquire, Release, Announce, Set and Gone only take note and may be called from any
// goroutine; Run does the work.
type Addresses struct {
	kernel    AddressKernel
	announcer Announcer
	lost      func(instance, reason string)
	log       *slog.Logger
	epoch     time.Time
	dirty     chan struct{}

	mu   sync.Mutex // guards wish and everything in it
	wish map[string]*wish

	held map[string]*held // owned by Run
}

// wish is what the election and the cluster file want of one instance.
type wish struct {
	vips     VIPs
	want     bool
	tenure   uint64 // counts acquisitions: a new one starts a new tenure
	silent   bool
	announce bool // an extra announcement is asked for
	gone     bool // one of our addresses was reported deleted
}

// held is what this loop has put into the kernel for one instance.
type held struct {
	vips   VIPs
	number uint64
	tenure tenure
	retry  time.Duration // not before; after a failure
	fails  int
	logged string
	repair time.Duration // when the last foreign deletion was repaired
	again  bool          // addresses are to be put back whatever the renewal timer says
}

const (
	retryLeast = 50 * time.Millisecond
	retryMost  = time.Second
	// repairEvery limits how often an address that somebody keeps deleting is put back.
	repairEvery = 20 * time.Millisecond
)

// NewAddresses makes the loop. lost is called, from the loop, when the VIPs of an instance must be taken for gone because
// their lease could not be renewed in time; it must not block for long.
func NewAddresses(kernel AddressKernel, announcer Announcer, lost func(instance, reason string), log *slog.Logger) *Addresses {
	return &Addresses{
		kernel: kernel, announcer: announcer, lost: lost, log: log, epoch: time.Now(),
		dirty: make(chan struct{}, 1), wish: map[string]*wish{}, held: map[string]*held{},
	}
}

// Set says which instances there are and what their VIPs are. An instance that is no longer named is released.
func (a *Addresses) Set(all []VIPs) {
	a.mu.Lock()
	named := map[string]bool{}
	for _, v := range all {
		named[v.Instance] = true
		w := a.wish[v.Instance]
		if w == nil {
			w = &wish{}
			a.wish[v.Instance] = w
		}
		w.vips = v
	}
	for name, w := range a.wish {
		if !named[name] {
			w.want = false
		}
	}
	a.mu.Unlock()
	a.poke()
}

// Acquire wants the VIPs of an instance on this machine.
func (a *Addresses) Acquire(instance string, silent bool) {
	a.change(instance, func(w *wish) { w.want, w.silent, w.tenure = true, silent, w.tenure+1 })
}

// Release wants them gone.
func (a *Addresses) Release(instance string) {
	a.change(instance, func(w *wish) { w.want = false })
}

// Announce wants gratuitous ARP for VIPs that are held.
func (a *Addresses) Announce(instance string) {
	a.change(instance, func(w *wish) { w.announce = true })
}

// Gone reports that an address disappeared from an interface; ours is put back if its lease had not lapsed.
func (a *Addresses) Gone(iface string, p netip.Prefix) {
	a.mu.Lock()
	ours := false
	for _, w := range a.wish {
		if w.want && w.vips.Interface == iface && slices.Contains(w.vips.Addresses, p) {
			w.gone, ours = true, true
		}
	}
	a.mu.Unlock()
	if ours {
		a.poke()
	}
}

func (a *Addresses) change(instance string, f func(*wish)) {
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
func (a *Addresses) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			for name := range a.held {
				a.drop(name, "the daemon stops")
			}
			return
		case <-a.dirty:
		case <-timer.C:
		}
		timer.Reset(a.pass(time.Since(a.epoch)))
	}
}

// pass brings every instance to what is wanted and returns how long nothing is due.
func (a *Addresses) pass(now time.Duration) time.Duration {
	next := time.Hour
	for name, w := range a.wishes() {
		switch {
		case !w.want:
			a.drop(name, "no longer MASTER")
		default:
			next = min(next, a.keep(name, w, now))
		}
	}
	return max(next, 0)
}

// wishes takes a copy and clears what is asked for once.
func (a *Addresses) wishes() map[string]wish {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make(map[string]wish, len(a.wish))
	for name, w := range a.wish {
		all[name] = *w
		w.announce, w.gone = false, false
	}
	return all
}

// keep holds the VIPs of one instance and returns how long nothing of it is due.
func (a *Addresses) keep(name string, w wish, now time.Duration) time.Duration {
	h := a.held[name]
	if h == nil || h.number != w.tenure {
		h = a.start(h, w, now)
		a.held[name] = h
	}
	a.follow(h, w.vips)
	if h.tenure.lapsed(now) {
		a.lapse(name, h, now)
		return time.Hour
	}
	if w.gone {
		h.again = true
	}
	if now >= h.due() && now >= h.retry {
		a.put(name, h, now)
	}
	if w.announce {
		h.tenure.announce(now)
	}
	if at, ok := h.tenure.nextAnnouncement(); ok && h.tenure.added && now >= at {
		a.announce(h)
		h.tenure.announced(now)
	}
	return h.next(now)
}

func (a *Addresses) start(old *held, w wish, now time.Duration) *held {
	h := &held{vips: w.vips, number: w.tenure, tenure: begin(now, w.vips.Lease, w.silent)}
	if old != nil { // taken anew before the release was carried out
		h.vips = old.vips
	}
	return h
}

// follow removes what a reload took out of the instance; what it added comes with the next put, which is now.
func (a *Addresses) follow(h *held, vips VIPs) {
	if h.vips.Interface == vips.Interface && slices.Equal(h.vips.Addresses, vips.Addresses) && h.vips.Lease == vips.Lease {
		return
	}
	for _, p := range h.vips.Addresses {
		if h.vips.Interface != vips.Interface || !slices.Contains(vips.Addresses, p) {
			a.remove(h.vips.Interface, p)
		}
	}
	h.vips, h.again = vips, true
	h.tenure.lease = vips.Lease
	h.tenure.announce(h.tenure.renewed)
}

// due is when addresses are to be written next.
func (h *held) due() time.Duration {
	if h.again {
		return h.repair + repairEvery
	}
	return h.tenure.renewAt()
}

func (h *held) next(now time.Duration) time.Duration {
	next := max(h.due(), h.retry) - now
	next = min(next, h.tenure.renewed+h.tenure.lease-now)
	if at, ok := h.tenure.nextAnnouncement(); ok && h.tenure.added {
		next = min(next, at-now)
	}
	return max(next, 0)
}

func (a *Addresses) put(name string, h *held, now time.Duration) {
	begun := time.Since(a.epoch)
	for _, p := range h.vips.Addresses {
		if err := a.kernel.Put(h.vips.Interface, p, h.vips.Lease); err != nil {
			h.failed(now)
			if text := err.Error(); text != h.logged {
				h.logged = text
				a.log.Error("cannot keep a VIP; trying again", "instance", name, "vip", p.String(), "error", err)
			}
			return
		}
	}
	if !h.tenure.added {
		a.log.Info("VIPs are up", "instance", name, "interface", h.vips.Interface, "lease", h.vips.Lease.String(),
			"took", (time.Since(a.epoch) - h.tenure.since).String())
	}
	if h.again && h.tenure.added {
		a.log.Warn("VIPs were deleted or changed by somebody else and are put back", "instance", name)
		h.tenure.announce(now)
	}
	h.tenure.renewed, h.tenure.added = begun, true
	h.again, h.repair, h.retry, h.fails, h.logged = false, now, 0, 0, ""
}

func (h *held) failed(now time.Duration) {
	h.retry = now + min(retryLeast<<min(h.fails, 10), retryMost)
	h.fails++
}

func (a *Addresses) announce(h *held) {
	for _, p := range h.vips.Addresses {
		if err := a.announcer.Announce(h.vips.Interface, p.Addr()); err != nil {
			a.log.Warn("cannot send gratuitous ARP", "interface", h.vips.Interface, "vip", p.Addr().String(), "error", err)
			return
		}
	}
}

// lapse gives up VIPs whose lease ran out: the election hears of it and decides anew.
func (a *Addresses) lapse(name string, h *held, now time.Duration) {
	age := (now - h.tenure.renewed).Round(10 * time.Millisecond)
	a.mu.Lock()
	if w := a.wish[name]; w != nil && w.tenure == h.number {
		w.want = false
	}
	a.mu.Unlock()
	a.drop(name, "their lease lapsed")
	a.lost(name, fmt.Sprintf("the lease of the VIPs lapsed: not renewed for %s, lease %s", age, h.tenure.lease))
}

func (a *Addresses) drop(name, why string) {
	h := a.held[name]
	if h == nil {
		return
	}
	failed := false
	for _, p := range h.vips.Addresses {
		failed = !a.remove(h.vips.Interface, p) || failed
	}
	delete(a.held, name)
	if !failed {
		a.log.Info("VIPs are removed", "instance", name, "interface", h.vips.Interface, "reason", why)
	}
}

// remove deletes one address. A failure is not retried: the lease takes the address away.
func (a *Addresses) remove(iface string, p netip.Prefix) bool {
	if err := a.kernel.Remove(iface, p); err != nil {
		a.log.Error("cannot remove a VIP; its lease will", "interface", iface, "vip", p.String(), "error", err)
		return false
	}
	return true
}
