package reconcile

import (
	"time"
)

// leaseTimer is the lease timer of an instance that holds its VIPs: pure arithmetic over a monotonic clock.
//
// A VIP is added with the kernel lifetime lease and renewed every lease/3. renewed is when the last successful renewal
// began: the kernel's timer starts then or later.
type leaseTimer struct {
	lease   time.Duration
	since   time.Duration
	renewed time.Duration
	added   bool // at least one renewal succeeded
}

// newLeaseTimer starts a lease timer at now.
func newLeaseTimer(now, lease time.Duration) leaseTimer {
	return leaseTimer{lease: lease, since: now, renewed: now}
}

// lapsed reports whether the kernel may have removed the VIPs because their lifetime expired. They must not be renewed
// then: that would silently create them again, possibly while a new MASTER has them.
func (t *leaseTimer) lapsed(now time.Duration) bool { return now-t.renewed >= t.lease }

// renew records a successful renewal that began at now.
func (t *leaseTimer) renew(now, lease time.Duration) { t.renewed, t.lease, t.added = now, lease, true }

// renewAt is when the next renewal is due.
func (t *leaseTimer) renewAt() time.Duration {
	if !t.added {
		return t.renewed
	}
	return t.renewed + t.lease/3
}
