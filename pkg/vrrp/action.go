package vrrp

import (
	"fmt"
	"strconv"
	"time"
)

// Action is something the owner of a machine must do. Actions are carried out in the order in which Step returns them.
type Action interface {
	fmt.Stringer
	action()
}

type (
	// SendAdvert sends one advert with this priority now; 0 resigns. All other fields come from the instance.
	SendAdvert struct{ Priority uint8 }

	// Acquire adds the VIPs and announces them. With CauseStalled this director is already MASTER and adds them again.
	Acquire struct{ Cause Cause }

	// Release removes the VIPs and stops any announcements of them that are still running. It is safe if they are
	// already gone.
	Release struct{}

	// Announce announces the VIPs that this director holds again: other hosts may have learned another holder. Not before
	// After has passed without another Announce.
	Announce struct {
		Why   Why
		After time.Duration
	}

	// Transition reports a state change. Reason is the text of Machine.Reason.
	Transition struct {
		From, To State
		Reason   string
	}
)

func (SendAdvert) action() {}
func (Acquire) action()    {}
func (Release) action()    {}
func (Announce) action()   {}
func (Transition) action() {}

func (a SendAdvert) String() string { return "send_advert priority=" + strconv.Itoa(int(a.Priority)) }
func (a Acquire) String() string    { return "acquire cause=" + a.Cause.String() }
func (Release) String() string      { return "release" }
func (a Announce) String() string {
	if a.After > 0 {
		return fmt.Sprintf("announce why=%s after=%s", a.Why, a.After)
	}
	return "announce why=" + a.Why.String()
}

func (a Transition) String() string {
	return fmt.Sprintf("transition from=%s to=%s reason=%q", a.From, a.To, a.Reason)
}

// Cause is why a director became MASTER. It determines for how long the VIPs are announced.
type Cause uint8

const (
	// CauseAlone: no advert from a MASTER was received since this director started listening.
	CauseAlone Cause = iota
	// CauseSilentPeer: the MASTER's adverts stopped. It may still hold the VIPs until their lease expires.
	CauseSilentPeer
	// CauseResigned: the MASTER sent a priority-0 advert.
	CauseResigned
	// CausePreempted: the MASTER is alive and has a lower priority. It steps back when it receives our advert.
	CausePreempted
	// CauseOwner: this director is the address owner and takes the VIPs at start.
	CauseOwner
	// CauseStalled: this director stalled as MASTER and no other director took over in the meantime, but its lease may
	// have expired. No Release precedes it.
	CauseStalled
)

// String returns "alone", "silent_peer", "resigned", "preempted", "owner" or "stalled".
func (c Cause) String() string {
	switch c {
	case CauseAlone:
		return "alone"
	case CauseSilentPeer:
		return "silent_peer"
	case CauseResigned:
		return "resigned"
	case CausePreempted:
		return "preempted"
	case CauseOwner:
		return "owner"
	case CauseStalled:
		return "stalled"
	}
	return "Cause(" + strconv.Itoa(int(c)) + ")"
}

// Why is the reason why a MASTER announces its VIPs again.
type Why uint8

const (
	// WhyLowerMaster: an advert from a MASTER with a lower rank was received; until now it answered ARP for the VIPs as
	// well.
	WhyLowerMaster Why = iota
	// WhyRival: it has not given way for three intervals, so that it does not hear us. Both would announce the VIPs for
	// ever, and the clients would change with each announcement: only its end is a reason to announce them.
	WhyRival
	// WhyResigned: another MASTER has resigned, which answered ARP for the VIPs as well.
	WhyResigned
)

// String returns "lower_master", "rival" or "resigned".
func (w Why) String() string {
	switch w {
	case WhyLowerMaster:
		return "lower_master"
	case WhyRival:
		return "rival"
	case WhyResigned:
		return "resigned"
	}
	return "Why(" + strconv.Itoa(int(w)) + ")"
}
