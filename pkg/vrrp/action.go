package vrrp

import (
	"fmt"
	"strconv"
)

// Action is something the owner of a machine is to do. Actions are carried out in the order in which Step returns them.
type Action interface {
	fmt.Stringer
	action()
}

type (
	// SendAdvert sends one advert with this priority now; 0 resigns. Everything else in it is the instance's own.
	SendAdvert struct{ Priority uint8 }

	// Acquire takes the VIPs and announces them. With CauseStalled they are already ours, and are taken anew.
	Acquire struct{ Cause Cause }

	// Release gives the VIPs up. It also stops whatever still announces them, and is right when they are already gone.
	Release struct{}

	// Announce repeats the gratuitous ARP of the VIPs, which we hold: others may have learned another holder.
	Announce struct{ Why Why }

	// Transition reports that the state changed. Reason is the sentence of Machine.Reason.
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
func (a Announce) String() string   { return "announce why=" + a.Why.String() }
func (a Transition) String() string {
	return fmt.Sprintf("transition from=%s to=%s reason=%q", a.From, a.To, a.Reason)
}

// Cause says why a director became MASTER. How long the VIPs have to be announced depends on it.
type Cause uint8

const (
	// CauseAlone: no MASTER was heard since we began to listen.
	CauseAlone Cause = iota
	// CauseSilentPeer: the MASTER was not heard any more. It may still hold the VIPs until their lease ends.
	CauseSilentPeer
	// CauseResigned: the MASTER said that it stops.
	CauseResigned
	// CausePreempted: the MASTER lives and has a lower priority. It gives up when it hears us.
	CausePreempted
	// CauseOwner: we own the addresses and take them at start.
	CauseOwner
	// CauseStalled: we stood still as MASTER, nobody took over meanwhile, and our own lease may have lapsed. It comes
	// without a Release before it.
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

// Why says why a MASTER announces its VIPs again.
type Why uint8

const (
	// WhyLowerMaster: a MASTER that loses against us was heard; until now it answered for the VIPs as well.
	WhyLowerMaster Why = iota
)

// String returns "lower_master".
func (w Why) String() string {
	if w == WhyLowerMaster {
		return "lower_master"
	}
	return "Why(" + strconv.Itoa(int(w)) + ")"
}
