package reconcile

import (
	"time"
)

// Gratuitous ARP is repeated every 1.1 s because Linux neighbours ignore a change within locktime, 1 s, of the last one
// (net.ipv4.neigh.default.locktime, net/ipv4/arp.c), for 5 s because a switch may still be learning.
const (
	announceEvery = 1100 * time.Millisecond
	locktime      = time.Second
	announceFor   = 5 * time.Second
	// A peer that fell silent may still answer for the VIP until its lease has lapsed; 2 s more cover the kernel's
	// coarse address timer.
	announceAfterLease = 2 * time.Second
	// A repetition that finds itself this late woke from a stall. The election wakes with it and may have lost the VIPs
	// meanwhile; it gets this long to say so, once, before the neighbours are told anything.
	wokeAfter   = 20 * time.Millisecond
	afterWaking = 100 * time.Millisecond
)

// tenure is the time during which an instance holds its VIPs: pure arithmetic over a monotonic clock.
//
// A VIP is added with the kernel lifetime lease and renewed at lease/3. renewed is when the last renewal that succeeded
// was begun: the kernel counts from then or later.
type tenure struct {
	lease         time.Duration
	since         time.Duration
	renewed       time.Duration
	added         bool // at least one renewal succeeded
	announceAt    time.Duration
	announceUntil time.Duration
	repeats       bool // announced before
	heldBack      bool // the announcement that is due was put off already
}

// newTenure starts a tenure at now. silent says that the last holder did not resign.
func newTenure(now, lease time.Duration, silent bool) tenure {
	t := tenure{lease: lease, since: now, renewed: now}
	t.announce(now)
	if silent {
		t.announceUntil = max(t.announceUntil, now+lease+announceAfterLease)
	}
	return t
}

// announce schedules an announcement now and its repetitions.
func (t *tenure) announce(now time.Duration) {
	t.announceAt = now
	t.announceUntil = max(t.announceUntil, now+announceFor)
}

// announceAgain is announce for VIPs that were announced already, and keeps the distance to the last time.
func (t *tenure) announceAgain(now time.Duration) {
	last := t.announceAt
	t.announce(now)
	t.announceAt = max(now, last)
}

// stalled says that a repetition that is due must wait for what the election says of a stall, and puts it off.
func (t *tenure) stalled(now time.Duration) bool {
	if !t.repeats || t.heldBack || now-t.announceAt < wokeAfter {
		return false
	}
	t.heldBack = true
	t.announceAt = now + afterWaking
	t.announceUntil = max(t.announceUntil, t.announceAt)
	return true
}

// lapsed says that the kernel may have dropped the VIPs by itself: renewing would silently create them again, perhaps
// beside a new MASTER's, so it must not happen.
func (t *tenure) lapsed(now time.Duration) bool { return now-t.renewed >= t.lease }

// renew takes note of a renewal that was begun at now and succeeded.
func (t *tenure) renew(now, lease time.Duration) { t.renewed, t.lease, t.added = now, lease, true }

// renewAt is when the next renewal is due.
func (t *tenure) renewAt() time.Duration {
	if !t.added {
		return t.renewed
	}
	return t.renewed + t.lease/3
}

// announced takes note of an announcement made at now. The next is due a step after this one was due, so that lateness
// does not add up and cost one in the end, but never within a neighbour's locktime.
func (t *tenure) announced(now time.Duration) {
	t.repeats, t.heldBack = true, false
	t.announceAt = max(t.announceAt+announceEvery, now+locktime)
}

// nextAnnouncement returns when gratuitous ARP is due; ok is false when the peers have been told for long enough.
func (t *tenure) nextAnnouncement() (at time.Duration, ok bool) {
	return t.announceAt, t.announceAt <= t.announceUntil
}
