package vrrp

import (
	"fmt"
	"net/netip"
	"time"
)

const (
	// defendEvery is the least interval between two announcements that answer a claim. RFC 5227 section 2.4 allows a host
	// one in 10 s; a director must win back its clients, and neighbours ignore a change within a second of the last one.
	defendEvery = time.Second
	// defendEarly is how much earlier one may be: claims are read about once a second, and a refused answer would wait for the next one.
	defendEarly = 100 * time.Millisecond
	// defendTimes is how many claims in a row are answered. A machine that claims the VIP again after each answer defends
	// it, too, and with each announcement of either the clients change sides.
	defendTimes = 10
	// claimGap is the silence after which claims are no longer in a row.
	claimGap = 4 * time.Second
	// claimsLast is how long claims in a row must go on to be a problem: a single one may be late, or an accident.
	claimsLast = 2500 * time.Millisecond
)

// Claims are the ARP packets by which other machines say that they have a VIP of an instance that is MASTER. Times are
// those of the machine. The zero value has none.
type Claims struct {
	run         bool // there was one within claimGap
	first, last time.Duration
	vip         netip.Addr
	by          string
	defended    int
	next        time.Duration // the earliest time of the next answer
}

// Note adds a claim, and reports whether it is the first one in a row.
func (c *Claims) Note(now time.Duration, vip netip.Addr, by string) (first bool) {
	if first = !c.run || now-c.last > claimGap; first {
		c.run, c.first, c.defended = true, now, 0
	}
	c.last, c.vip, c.by = now, vip, by
	return first
}

// Defend reports whether the last claim is to be answered by announcing the VIPs, and counts the answer.
func (c *Claims) Defend(now time.Duration) bool {
	if !c.run || now < c.next-defendEarly || c.defended >= defendTimes {
		return false
	}
	c.defended++
	c.next = now + defendEvery
	return true
}

// Forget drops the claims: the instance is no longer MASTER. The interval between two answers stays.
func (c *Claims) Forget() { *c = Claims{next: c.next} }

// Report returns what is wrong now.
func (c *Claims) Report(now time.Duration) []Finding {
	if !c.run || now-c.last > claimGap || c.last-c.first < claimsLast {
		return nil
	}
	text := fmt.Sprintf("%s is claimed by another machine as well, with the hardware address %s", c.vip, c.by)
	if c.defended >= defendTimes {
		text += "; it does not stop, so it is no longer answered"
	}
	return []Finding{{Kind: VIPClaimed, Source: c.vip, Text: text}}
}
