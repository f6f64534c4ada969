package reconcile

import (
	"context"
	"fmt"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// expiry determines when the kernel removes the addresses of an acquisition: at renewed + lease.
type expiry struct {
	acquisition uint64 // of the acquisition
	renewed     time.Duration
	lease       time.Duration
}

// end is when the kernel removes the addresses.
func (e expiry) end() time.Duration { return e.renewed + e.lease }

// setLease publishes the expiry of an instance's VIPs for the lease watcher; nil: it holds none.
func (a *Addresses) setLease(name config.InstanceID, h *held) {
	a.mu.Lock()
	before, known := a.leases[name]
	unseen := h != nil && known && before.acquisition > h.acquisition
	if w := a.desired[name]; h == nil && known && w != nil && w.want && w.acquisition == before.acquisition {
		unseen = true
	}
	if unseen { // the recorded expiry is that of an acquisition that the loop has not processed yet
		a.mu.Unlock()
		return
	}
	delete(a.leases, name)
	if h != nil {
		a.leases[name] = expiry{h.acquisition, h.timer.renewed, h.timer.lease}
	}
	sooner := h != nil && (!known || a.leases[name].end() < before.end())
	a.mu.Unlock()
	if sooner { // otherwise the watcher finds at the end of the lease that it was renewed
		a.wakeLeaseWatcher()
	}
}

// wakeLeaseWatcher wakes the lease watcher after an expiry became sooner.
func (a *Addresses) wakeLeaseWatcher() {
	select {
	case a.leaseChanged <- struct{}{}:
	default:
	}
}

// watchLeases reports every expired lease to the election, even while the loop is blocked in the kernel: otherwise a
// director without VIPs would remain MASTER.
func (a *Addresses) watchLeases(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		next := time.Hour
		for name, e := range a.expiries() {
			left := e.end() - a.now()
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
		case <-a.leaseChanged:
		case <-timer.C:
		}
	}
}

// expiries returns the leases of the instances that are wanted.
func (a *Addresses) expiries() map[config.InstanceID]expiry {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := map[config.InstanceID]expiry{}
	for name, e := range a.leases {
		if w := a.desired[name]; w != nil && w.want && w.acquisition == e.acquisition {
			all[name] = e
		}
	}
	return all
}

// lapse gives up VIPs whose lease expired. If the election has acquired them again meanwhile, the next pass starts a
// new lease timer.
func (a *Addresses) lapse(name config.InstanceID, h *held) {
	if !a.giveUp(name, expiry{h.acquisition, h.timer.renewed, h.timer.lease}) {
		a.poke()
	}
	a.drop(name, "their lease lapsed")
}

// giveUp reports the VIPs of an acquisition as lost to the election, once. It returns false if that was reported before
// or the election has decided again. The loop removes what the kernel still has of them.
func (a *Addresses) giveUp(name config.InstanceID, e expiry) bool {
	a.mu.Lock()
	w := a.desired[name]
	current := w != nil && w.want && w.acquisition == e.acquisition
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

// setAccepted records until when the kernel keeps the VIPs of an instance, all of which it has accepted; 0: it has none.
func (a *Addresses) setAccepted(name config.InstanceID, until time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if until == 0 {
		delete(a.accepted, name)
		return
	}
	a.accepted[name] = until
}

// Left returns after what time the kernel removes the VIPs of an instance if the loop does not renew their lease. held is false, and
// left 0, if the kernel has them not: it has not accepted all of them since they were acquired, they were removed, or their lease has
// ended. That an acquisition has begun says nothing about the kernel, and neither does a loop that hangs. It may be called from any
// goroutine.
func (a *Addresses) Left(instance config.InstanceID) (left time.Duration, held bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	left = a.accepted[instance] - a.now()
	if _, held = a.accepted[instance]; !held || left <= 0 {
		return 0, false
	}
	return left, true
}
