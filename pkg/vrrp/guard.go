package vrrp

import (
	"net/netip"
	"time"
)

// Guard rate-limits adverts that are each valid but whose number can only come from an attack or a broken neighbour:
// each of them would make this director answer, announce the VIPs or start a takeover. It does not protect against a
// single forged advert of high priority; VRRP has no protection against that (RFC 9568, section 9). The zero value is
// ready for use.
type Guard struct {
	answered time.Duration // MASTER: the time up to which answers are used up, at one per advert interval

	master     netip.Addr // the source of the last advert that was no resignation; invalid: none yet
	resigned   bool
	resignedAt time.Duration // of the last admitted resignation
	hold       time.Duration // for how long after it no other resignation is admitted
}

const (
	// answerBurst is how many adverts of lower priority a MASTER answers in a burst.
	answerBurst = 4
	// resignHoldMin and resignHoldMax bound the time in which a second resignation is dropped. A director that resigns
	// does not become MASTER and resign again so soon; if it does, its peers take over after the master-down interval.
	resignHoldMin = time.Second
	resignHoldMax = time.Minute
)

// Admit returns DropNone if an advert that passed Accept should be passed to a machine in the given state, otherwise
// the reason to drop it. now is the machine's time, p its EffectiveParams.
func (g *Guard) Admit(now time.Duration, state State, p Params, a Advert) DropReason {
	p = p.withDefaults()
	source := a.Source.Unmap()
	resigns := a.Priority == PriorityResign
	if !resigns {
		g.master = source
	}
	switch {
	case state == Master && !p.outrankedBy(a.Priority, source) && !g.admitAnswer(now, p.AdvertInterval):
		return DropFlood
	case state != Master && resigns && (g.master.IsValid() && g.master != source || !g.admitResignation(now)):
		return DropResignation
	}
	return DropNone
}

// admitAnswer is a token bucket of size answerBurst, refilled by one per advert interval.
func (g *Guard) admitAnswer(now, interval time.Duration) bool {
	g.answered = max(g.answered, now)
	if g.answered-now > (answerBurst-1)*interval {
		return false
	}
	g.answered += interval
	return true
}

// admitResignation doubles the hold time with each resignation that comes soon after the last.
func (g *Guard) admitResignation(now time.Duration) bool {
	since := now - g.resignedAt
	switch {
	case !g.resigned || since >= 2*g.hold:
		g.hold = resignHoldMin
	case since < g.hold:
		return false
	default:
		g.hold = min(2*g.hold, resignHoldMax)
	}
	g.resigned, g.resignedAt = true, now
	return true
}
