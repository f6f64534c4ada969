package vrrp

import (
	"net/netip"
	"time"
)

// inquireAgain is the time between two questions about a VIP that another machine claims: while it answers, its claims
// stay in a row.
const inquireAgain = time.Second

// Inquiry is when a MASTER asks the network whether another machine has one of its VIPs (an ARP probe, RFC 5227 section
// 2.1.1). A machine that only answers requests is noticed in no other way, nor is a second MASTER between two of its
// announcements. Times are those of the machine. The zero value has asked nothing.
type Inquiry struct {
	last time.Duration
	turn int
}

// Due returns the VIP to ask for now, and counts the question: each in turn, with every in between; if that is 0, none.
// since is when the instance became MASTER: the last one may still answer for a while. While claims are in a row it is the
// claimed one.
func (q *Inquiry) Due(now, since, every time.Duration, vips []netip.Addr, c *Claims) (vip netip.Addr, ok bool) {
	if every <= 0 || len(vips) == 0 {
		return netip.Addr{}, false
	}
	claimed := c.run && now-c.last <= claimGap
	due := max(q.last, since) + every
	if claimed {
		due = min(due, q.last+inquireAgain)
	}
	switch {
	case now < due:
		return netip.Addr{}, false
	case claimed:
		vip = c.vip
	default:
		q.turn++
		vip = vips[q.turn%len(vips)]
	}
	q.last = now
	return vip, true
}
