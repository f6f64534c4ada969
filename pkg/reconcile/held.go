package reconcile

import (
	"time"
)

// held is what the address loop has put into the kernel for one instance.
type held struct {
	vips    VIPs
	number  uint64 // of the acquisition that it answers
	tenure  tenure
	retry   time.Duration // not before; after a failure
	fails   int
	logged  string        // the failure that was logged last
	wrote   time.Duration // when the kernel had taken the last of them
	repair  time.Duration // when addresses were put back out of turn the last time
	again   bool          // addresses are to be put back out of turn
	foreign bool          // because somebody else deleted one
	behind  bool          // because they stand before the machine's own address
	repairs int           // since the tenure began
	told    time.Duration // when a repair was logged the last time
}

// firstWithin is how long a tenure may go without its addresses, also when the lease is longer.
const firstWithin = 5 * time.Second

// firstLease is the lease of a tenure before the kernel has taken any address.
func firstLease(vips VIPs) time.Duration { return min(vips.Lease, firstWithin) }

// note takes in what was seen of the addresses. A look before the last write, or before one that is due anyway, says
// nothing of somebody else.
func (h *held) note(w wish) {
	if !h.tenure.added || h.again {
		h.again = h.again || w.gone
		return
	}
	if w.gone || w.missed > h.wrote {
		h.again, h.foreign = true, true
	}
	if w.first > h.wrote {
		h.again, h.foreign, h.behind = true, true, true
	}
}

// begin starts to hold what is wished for. old is what is held for an earlier acquisition: a release and a new acquisition
// came between two passes. nil: nothing.
func begin(old *held, w wish, now time.Duration) *held {
	h := &held{vips: w.vips, number: w.tenure, tenure: newTenure(now, w.vips.Lease, w.silent)}
	h.tenure.lease = firstLease(w.vips)
	if old != nil {
		h.vips = old.vips
	}
	return h
}

// due says whether addresses are to be written now.
func (h *held) due(now time.Duration) bool { return now >= h.writeAt() && now >= h.retry }

func (h *held) writeAt() time.Duration {
	if h.again {
		return h.repair + repairEvery
	}
	return h.tenure.renewAt()
}

// next returns how long nothing is due.
func (h *held) next(now time.Duration) time.Duration {
	next := max(h.writeAt(), h.retry) - now
	next = min(next, h.tenure.renewed+h.tenure.lease-now)
	if at, ok := h.tenure.nextAnnouncement(); ok && h.tenure.added {
		next = min(next, at-now)
	}
	return max(next, 0)
}

// written takes note of addresses that the kernel had taken by now; begun is when the first was handed to it.
func (h *held) written(begun, now time.Duration) {
	h.wrote = now
	if h.again {
		h.repair = begun
	}
	h.tenure.renew(begun, h.vips.Lease)
	h.again, h.foreign, h.behind = false, false, false
	h.retry, h.fails, h.logged = 0, 0, ""
}

func (h *held) failed(now time.Duration) {
	h.retry = now + backoff(h.fails)
	h.fails++
}
