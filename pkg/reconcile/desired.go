package reconcile

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

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

// Retain requests that VIPs which are held stay for a time at most: another director is MASTER, or is about to be, and has not
// announced them yet. They are not renewed, repaired or announced. Their lease, of which they have two thirds left, usually
// ends later.
func (a *Addresses) Retain(instance config.InstanceID, within time.Duration) {
	a.change(instance, func(w *desired) {
		if w.want {
			w.retained = a.now() + within
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
