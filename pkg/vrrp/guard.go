package vrrp

import (
	"net/netip"
	"time"
)

// Guard withholds adverts from a Machine that are each within the rules but whose number can only be meant to harm, or
// comes from a broken neighbour: every one of them would have this director answer, announce the VIPs or begin a
// take-over. It is no protection against whoever forges one advert of a high priority; VRRP has none (RFC 9568,
// section 9). The zero value is ready.
type Guard struct {
	spent time.Duration // MASTER: how far the answers given reach into the future, at one in each advert interval

	serves     netip.Addr // who was heard last that did not resign; invalid: nobody yet
	resigned   bool
	resignedAt time.Duration // of the resignation believed last
	doubt      time.Duration // how long after it no other one is
}

const (
	// answersAtOnce is how many adverts of lower priority a MASTER answers without a pause.
	answersAtOnce = 4
	// doubtLeast and doubtMost are the times in which a second resignation is not believed. A director that resigns does
	// not hold the VIPs again, and resign again, so soon; and then its peers take over after the master-down interval.
	doubtLeast = time.Second
	doubtMost  = time.Minute
)

// Admit returns DropNone if an advert that Accept let through is for a machine in a state to hear, else the reason to
// ignore it. now is the machine's time.
func (g *Guard) Admit(now time.Duration, state State, p Params, a Advert) DropReason {
	p = p.withDefaults()
	source := a.Source.Unmap()
	resigns := a.Priority == PriorityResign
	if !resigns {
		g.serves = source
	}
	switch {
	case state == Master && !p.outrankedBy(a.Priority, source) && !g.answer(now, p.AdvertInterval):
		return DropFlood
	case state != Master && resigns && (g.serves.IsValid() && g.serves != source || !g.believe(now)):
		return DropResignation
	}
	return DropNone
}

// answer is a bucket of answersAtOnce that one advert interval fills by one.
func (g *Guard) answer(now, interval time.Duration) bool {
	g.spent = max(g.spent, now)
	if g.spent-now > (answersAtOnce-1)*interval {
		return false
	}
	g.spent += interval
	return true
}

// believe doubles the doubt with each resignation that comes soon after the last.
func (g *Guard) believe(now time.Duration) bool {
	since := now - g.resignedAt
	switch {
	case !g.resigned || since >= 2*g.doubt:
		g.doubt = doubtLeast
	case since < g.doubt:
		return false
	default:
		g.doubt = min(2*g.doubt, doubtMost)
	}
	g.resigned, g.resignedAt = true, now
	return true
}
