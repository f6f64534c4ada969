package reconcile

import (
	"time"
)

// Announcements are repeated every 1.1 s because Linux neighbours ignore a change within locktime, 1 s, of the last one
// (net.ipv4.neigh.default.locktime, net/ipv4/arp.c). It is repeated for 5 s because a switch may still be learning.
const (
	announceEvery = 1100 * time.Millisecond
	locktime      = time.Second
	announceFor   = 5 * time.Second
	// A peer that stopped sending adverts without resigning may still answer for the VIP until its lease has lapsed; 2 s
	// more cover the kernel's coarse address timer.
	announceAfterLease = 2 * time.Second
	// A repetition that is at least stallThreshold late follows a stall, in which the election may have lost the VIPs. The
	// announcement is postponed once by stallDelay, so that the election can release them first.
	stallThreshold = 20 * time.Millisecond
	stallDelay     = 100 * time.Millisecond
)

// leaseTimer is the lease timer of an instance that holds its VIPs, and the schedule of its announcements: pure
// arithmetic over a monotonic clock.
//
// A VIP is added with the kernel lifetime lease and renewed every lease/3. renewed is when the last successful renewal
// began: the kernel's timer starts then or later.
type leaseTimer struct {
	lease         time.Duration
	since         time.Duration
	renewed       time.Duration
	added         bool // at least one renewal succeeded
	announceAt    time.Duration
	announceUntil time.Duration
	repeats       bool // announced before
	postponed     bool // the announcement that is due was already postponed
}

// newLeaseTimer starts a lease timer at now. silent: the previous MASTER did not resign.
func newLeaseTimer(now, lease time.Duration, silent bool) leaseTimer {
	t := leaseTimer{lease: lease, since: now, renewed: now}
	t.announce(now)
	if silent {
		t.announceUntil = max(t.announceUntil, now+lease+announceAfterLease)
	}
	return t
}

// announce schedules an announcement now and its repetitions.
func (t *leaseTimer) announce(now time.Duration) {
	t.announceAt = now
	t.announceUntil = max(t.announceUntil, now+announceFor)
}

// announceAgain is announce for VIPs that were announced before; it respects the interval since the last announcement.
func (t *leaseTimer) announceAgain(now time.Duration) {
	last := t.announceAt
	t.announce(now)
	t.announceAt = max(now, last)
}

// stalled reports whether a repetition that is due follows a stall, and postpones it by stallDelay if so. Each
// repetition is postponed at most once, and the first announcement never.
func (t *leaseTimer) stalled(now time.Duration) bool {
	if !t.repeats || t.postponed || now-t.announceAt < stallThreshold {
		return false
	}
	t.postponed = true
	t.announceAt = now + stallDelay
	t.announceUntil = max(t.announceUntil, t.announceAt)
	return true
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

// announced records an announcement made at now. The next is due announceEvery after this one was due, so that delays
// do not accumulate and cost an announcement, but never within a neighbour's locktime.
func (t *leaseTimer) announced(now time.Duration) {
	t.repeats, t.postponed = true, false
	t.announceAt = max(t.announceAt+announceEvery, now+locktime)
}

// nextAnnouncement returns when an announcement is due; ok is false when no further announcement is scheduled.
func (t *leaseTimer) nextAnnouncement() (at time.Duration, ok bool) {
	return t.announceAt, t.announceAt <= t.announceUntil
}
