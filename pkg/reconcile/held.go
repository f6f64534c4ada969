package reconcile

import (
	"net/netip"
	"time"
)

// held is what the address loop has added to the kernel for one instance.
type held struct {
	vips         VIPs
	acquisition  uint64 // of the acquisition that it belongs to
	timer        leaseTimer
	schedule     schedule
	unannounced  error // why the VIP silent was not announced; nil if there is no failure since the last round
	silent       netip.Prefix
	untold       []string      // the interfaces with VIPs that cannot be announced, because there is no ARP
	unasked      string        // why the last question to the network failed; "" if it did not
	retry        time.Duration // earliest next attempt after a failure; 0: none
	fails        int
	loggedError  string         // the last error that was logged
	lastWrite    time.Duration  // when the kernel had accepted the last of them
	lastRepair   time.Duration  // when addresses were last written before a renewal was due
	rewrite      bool           // write the addresses before the renewal is due
	added        []netip.Prefix // by a reload, and not written yet
	foreign      bool           // because another process deleted one
	misplaced    bool           // because they are listed before the machine's own address
	repairs      int            // since the acquisition
	repairLogged time.Duration  // when a repair was last logged
	placed       time.Duration  // when they were last added or moved, which a renewal does not do
	moves        int            // how often they were moved in a row without success
	moved        time.Duration  // when they were last moved
	stuck        bool           // moving them does not help
	deletions    int            // by another process, in a row with less than contestedWithin in between
	deleted      time.Duration  // when the last of them was repaired
}

// renewTogether is the part of a lease by which a renewal may be late, so that those of many instances are made in one pass.
const renewTogether = 48

// firstWriteTimeout bounds the time from the acquisition to the first successful write, even if the lease is longer.
const firstWriteTimeout = 5 * time.Second

// firstLease is the lease that applies until the kernel has accepted an address.
func firstLease(vips VIPs) time.Duration { return min(vips.Lease, firstWriteTimeout) }

// note processes what was reported about the addresses. A dump from before the last write, or while a write is due
// anyway, is no evidence of a change by another process. It reports whether moving the addresses has just turned out not
// to help.
func (h *held) note(w *desired) (stuck bool) {
	if w.looked > h.moved && w.first < w.looked || w.rearranged > h.moved {
		h.moves, h.stuck = 0, false
	}
	if !h.timer.added || h.rewrite {
		h.rewrite = h.rewrite || w.gone
		return false
	}
	if w.gone || w.missed > h.lastWrite {
		h.rewrite, h.foreign = true, true
	}
	switch {
	case w.first <= h.placed, w.first < w.looked: // in its place by now
	case h.moves < maxMoves:
		h.rewrite, h.foreign, h.misplaced = true, true, true
	default:
		stuck, h.stuck = !h.stuck, true
	}
	return stuck
}

// begin starts to hold the desired VIPs. old is what is held for an earlier acquisition, if a release and a new
// acquisition came between two passes; nil: nothing is held.
func begin(old *held, w *desired, now time.Duration) *held {
	h := &held{
		vips: w.vips, acquisition: w.acquisition, timer: newLeaseTimer(now, firstLease(w.vips)), schedule: newSchedule(w.vips.Announcements, now),
	}
	if w.silent {
		h.schedule.lengthen(now + w.vips.Lease + announceAfterLease)
	}
	if old != nil {
		h.vips = old.vips
	}
	return h
}

// due reports whether addresses are to be written now.
func (h *held) due(now time.Duration) bool { return now >= h.writeAt() && now >= h.retry }

func (h *held) writeAt() time.Duration {
	if h.rewrite {
		return h.lastRepair + repairEvery
	}
	return h.timer.renewAt()
}

// next returns the time until the next action is due.
func (h *held) next(now time.Duration) time.Duration {
	next := max(h.writeAt(), h.retry) - now
	if h.timer.added && !h.rewrite && h.fails == 0 {
		next += h.timer.lease / renewTogether
	}
	next = min(next, h.timer.renewed+h.timer.lease-now)
	if at, ok := h.announcementDue(); ok {
		next = min(next, at-now)
	}
	return max(next, 0)
}

// written records that the kernel had accepted all addresses at now; begun is when the first write started.
func (h *held) written(begun, now time.Duration) {
	h.lastWrite = now
	if h.rewrite || !h.timer.added {
		h.placed = now
	}
	if h.rewrite {
		h.lastRepair = begun
	}
	h.timer.renew(begun, h.vips.Lease)
	if h.misplaced {
		h.moves, h.moved = h.moves+1, now
	}
	h.rewrite, h.foreign, h.misplaced = false, false, false
	h.retry, h.fails, h.loggedError = 0, 0, ""
}

func (h *held) failed(now time.Duration) {
	h.retry = now + backoff(h.fails)
	h.fails++
}
