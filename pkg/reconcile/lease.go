package reconcile

import (
	"context"
	"fmt"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// expiry is when the kernel drops what is held for an acquisition, unless it is renewed.
type expiry struct {
	number  uint64 // of the acquisition
	renewed time.Duration
	lease   time.Duration
}

// setLease makes known until when an instance holds its VIPs; nil: it holds none.
func (a *Addresses) setLease(name config.InstanceID, h *held) {
	a.mu.Lock()
	before, known := a.leases[name]
	unseen := h != nil && known && before.number > h.number
	if w := a.wish[name]; h == nil && known && w != nil && w.want && w.tenure == before.number {
		unseen = true
	}
	if unseen { // it is of an acquisition that the loop has not come to yet
		a.mu.Unlock()
		return
	}
	delete(a.leases, name)
	if h != nil {
		a.leases[name] = expiry{h.number, h.tenure.renewed, h.tenure.lease}
	}
	changed := h != nil && (!known || a.leases[name] != before)
	a.mu.Unlock()
	if changed {
		a.expiryMoved()
	}
}

// expiryMoved tells the sentinel that there is another lease to watch.
func (a *Addresses) expiryMoved() {
	select {
	case a.moved <- struct{}{}:
	default:
	}
}

// watchLeases tells the election of every lease that ran out, also while the kernel keeps the loop waiting: then nobody
// else would say so, and a director without VIPs would go on as MASTER.
func (a *Addresses) watchLeases(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		next := time.Hour
		for name, e := range a.expiries() {
			left := e.renewed + e.lease - a.now()
			if left <= 0 {
				a.giveUp(name, e)
				continue
			}
			next = min(next, left)
		}
		timer.Reset(next)
		select {
		case <-ctx.Done():
			return
		case <-a.moved:
		case <-timer.C:
		}
	}
}

// expiries are the leases of what is wanted.
func (a *Addresses) expiries() map[config.InstanceID]expiry {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := map[config.InstanceID]expiry{}
	for name, e := range a.leases {
		if w := a.wish[name]; w != nil && w.want && w.tenure == e.number {
			all[name] = e
		}
	}
	return all
}

// lapse gives up VIPs whose lease ran out. If the election has decided anew already, the next pass begins a new tenure.
func (a *Addresses) lapse(name config.InstanceID, h *held) {
	if !a.giveUp(name, expiry{h.number, h.tenure.renewed, h.tenure.lease}) {
		a.poke()
	}
	a.drop(name, "their lease lapsed")
}

// giveUp says to the election that the VIPs of an acquisition are lost, once; false when it has heard it, or has decided
// anew. What the kernel still has of them is removed by the loop.
func (a *Addresses) giveUp(name config.InstanceID, e expiry) bool {
	a.mu.Lock()
	w := a.wish[name]
	current := w != nil && w.want && w.tenure == e.number
	if current {
		w.want = false
	}
	a.mu.Unlock()
	if current {
		age := (a.now() - e.renewed).Round(10 * time.Millisecond)
		a.lost(name, fmt.Sprintf("the lease of the VIPs lapsed: not renewed for %s, lease %s", age, e.lease))
		a.poke()
	}
	return current
}
