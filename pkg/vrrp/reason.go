package vrrp

import (
	"fmt"
	"net/netip"
	"time"
)

// stateReason is why a machine is in its state. It becomes text only when Reason is called, so that receiving an advert
// allocates no string.
type stateReason struct {
	Kind     reasonKind    `json:"kind"`
	Peer     netip.Addr    `json:"peer"`
	Priority uint8         `json:"priority"`
	Own      uint8         `json:"own"` // our priority then
	For      time.Duration `json:"for"`
	Text     string        `json:"text"`
	refusedAdvert
}

// refusedAdvert is what distinguishes a refused advert from one that is obeyed.
type refusedAdvert struct {
	Version  uint8         `json:"version"`
	AuthType uint8         `json:"auth"`
	OwnAuth  uint8         `json:"own_auth"` // our own authentication type
	Why      DropReason    `json:"why"`
	Interval time.Duration `json:"every"`
}

// String describes the adverts: "VRRPv2 adverts with a password".
func (r refusedAdvert) String() string {
	text := fmt.Sprintf("VRRPv%d adverts", r.Version)
	switch {
	case r.AuthType == authPassword && r.OwnAuth == authPassword && r.Why == DropAuth:
		text += " with another password"
	case r.AuthType == authNone && r.OwnAuth == authPassword && r.Version == 2:
		text += " without a password"
	case r.AuthType == authPassword:
		text += " with a password"
	case r.AuthType != 0:
		text += fmt.Sprintf(" with authentication type %d", r.AuthType)
	}
	switch r.Why {
	case DropInterval:
		text += fmt.Sprintf(" at the interval %s", r.Interval)
	case DropUnicast:
		text += " by unicast"
	case DropMulticast:
		text += " by multicast"
	case DropGroup:
		text += " to another multicast group"
	}
	return text
}

// remedy says what to do about adverts from a source that are refused because of their authentication.
func (r refusedAdvert) remedy(source netip.Addr) string {
	switch {
	case r.OwnAuth == authPassword && r.AuthType == authPassword:
		return "give both the same password: see auth_password_file here, auth_pass in a keepalived.conf"
	case r.OwnAuth == authPassword:
		return fmt.Sprintf("set auth_type: pass with the same password on %s, or remove auth_type here", source)
	case r.AuthType == authPassword:
		return fmt.Sprintf("set auth_type: pass and auth_password_file here, or remove the authentication on %s", source)
	}
	return fmt.Sprintf("remove the authentication on %s, or set auth_type PASS there and auth_type: pass here", source)
}

type reasonKind uint8

const (
	notStarted reasonKind = iota
	stopped
	listening  // since Startup, for For
	recovered  // from Text
	lost       // because of Text
	higherPeer // Peer has the higher Priority
	equalPeer  // Peer has our priority and is MASTER already
	higherAddr // Peer has our priority and the higher address
	preemptOff
	preemptDelay // For is the delay
	notReady     // because of Text
	heldOff      // for For
	preempting
	peerResigned
	alone      // no advert received for For
	silentPeer // no advert from Peer for For
	preempted
	owner
	faulted     // because of Text
	stalled     // for For; Peer took over with Priority in the meantime, and may have resigned again
	refusedPeer // Peer sends adverts that are refused, with Priority
	lostPeer    // BFD has heard nothing from Peer for For
	gated       // because of Text
	together    // with its sync group, because of Text
	handedOver  // to Peer, which is MASTER with Priority
	unsucceeded // nobody has taken over for For
	stayingOut  // Peer is MASTER with the lower Priority, and this director has handed over
	emptyPool   // Peer is MASTER with Priority, and no real server of ours takes connections
)

func (g stateReason) sentence() string {
	switch g.Kind {
	case notStarted:
		return "not started"
	case stopped:
		return "stopped"
	case listening:
		return fmt.Sprintf("started, listening for a MASTER for %s", brief(g.For))
	case recovered:
		return "recovered, listening for a MASTER (was: " + g.Text + ")"
	case lost:
		return "lost the virtual addresses: " + g.Text
	case higherPeer:
		return fmt.Sprintf("higher priority %d from %s", g.Priority, g.Peer)
	case equalPeer:
		return fmt.Sprintf("equal priority %d from %s, which is MASTER already", g.Priority, g.Peer)
	case higherAddr:
		return fmt.Sprintf("equal priority %d from %s, which has the higher address", g.Priority, g.Peer)
	case preemptOff:
		return fmt.Sprintf("lower priority %d from %s, and preempt is off", g.Priority, g.Peer)
	case preemptDelay:
		return fmt.Sprintf("lower priority %d from %s, and preempt_delay %s has not passed", g.Priority, g.Peer, brief(g.For))
	case notReady:
		return fmt.Sprintf("lower priority %d from %s, and not ready to take over: %s", g.Priority, g.Peer, g.Text)
	case gated:
		return fmt.Sprintf("lower priority %d from %s, and this director must not become MASTER: %s", g.Priority, g.Peer, g.Text)
	case heldOff:
		return fmt.Sprintf("lower priority %d from %s, not preempted for %s because this director lost the virtual addresses",
			g.Priority, g.Peer, brief(g.For))
	case preempting:
		return fmt.Sprintf("lower priority %d from %s, taking over when the master-down timer ends", g.Priority, g.Peer)
	case peerResigned:
		return fmt.Sprintf("%s resigned (priority 0)", g.Peer)
	case alone:
		return fmt.Sprintf("no other director heard for %s", brief(g.For))
	case silentPeer:
		return fmt.Sprintf("no advert from %s for %s", g.Peer, brief(g.For))
	case lostPeer:
		return fmt.Sprintf("%s is down according to BFD: silent for %s", g.Peer, g.For.Round(time.Millisecond))
	case preempted:
		return fmt.Sprintf("preempted %s, whose priority %d is lower than %d", g.Peer, g.Priority, g.Own)
	case owner:
		return "address owner (priority 255)"
	case faulted, together:
		return g.Text
	case handedOver, unsucceeded, stayingOut, emptyPool:
		return g.gaveWay()
	case refusedPeer:
		return fmt.Sprintf("%s sends %s (priority %d), which this director refuses, and holds the virtual addresses",
			g.Peer, g.refusedAdvert, g.Priority)
	case stalled:
		if g.Priority == PriorityResign {
			return fmt.Sprintf("stalled for %s; %s took over and resigned in the meantime", brief(g.For), g.Peer)
		}
		return fmt.Sprintf("stalled for %s; %s took over with priority %d", brief(g.For), g.Peer, g.Priority)
	}
	return "unknown"
}

// gaveWay is the sentence of a MASTER that has given way by itself.
func (g stateReason) gaveWay() string {
	switch g.Kind {
	case handedOver:
		return fmt.Sprintf("handed over to %s, which is MASTER with priority %d", g.Peer, g.Priority)
	case unsucceeded:
		return fmt.Sprintf("handed over, but no other director took over in %s: resigned", brief(g.For))
	case stayingOut:
		return fmt.Sprintf("lower priority %d from %s, and this director has handed over", g.Priority, g.Peer)
	default:
		return fmt.Sprintf("%s is MASTER as well, with priority %d, and no real server of this director takes connections", g.Peer, g.Priority)
	}
}

// brief rounds to hundredths of a second for readability: 3.61s, not 3.609375s.
func brief(d time.Duration) string { return d.Round(10 * time.Millisecond).String() }

// Reason returns why the machine is in its state, as text that an operator can act on. It begins with the state.
func (m *Machine) Reason() string {
	s := &m.mem
	now := said{state: s.State, reason: s.StateReason, faulted: s.Faulted, fault: s.FaultReason, degraded: s.Degraded}
	if s.Handover.Begun {
		now.handing = "; hands over: " + s.Handover.Why
	}
	if s.Due {
		now.gate, now.waits, now.cause = s.Gate, s.State == Backup && s.Gate == "", s.Cause
	}
	now.deaf = s.State == Backup && m.waitsToHear()
	if s.State == Fault || now.waits {
		now.heard, now.priority = s.Heard, s.HeardPriority
	}
	if m.text == "" || now != m.said {
		m.said, m.text = now, now.sentence()
	}
	return m.text
}

// said is what a reason depends on. A BACKUP has the same one for each advert.
type said struct {
	state    State
	reason   stateReason
	faulted  bool
	fault    string
	degraded string
	gate     string     // that keeps it from becoming MASTER now
	heard    netip.Addr // by an instance in FAULT, or one that waits
	priority uint8
	handing  string // why a MASTER hands over; "": it does not
	waits    bool   // a BACKUP waits for the other members of its sync group,
	cause    Cause
	deaf     bool // no other machine has been heard on the link yet, and that is waited for
}

func (s said) sentence() string {
	out := s.state.String() + ": " + s.reason.sentence()
	switch {
	case s.waits:
		return s.state.String() + ": " + s.waiting() + "; waits for the others of its sync group to be MASTER with them"
	case s.state == Init && s.faulted:
		out += "; fault: " + s.fault
	case s.state == Master && s.degraded != "":
		out += "; degraded, and no other director serves: " + s.degraded + s.handing
	case s.state == Master:
		out += s.handing
	case s.deaf:
		out += "; no other machine has been heard on the link yet, which deaf_delay waits for"
	case s.gate != "":
		out += "; no MASTER is heard, and this director must not become it: " + s.gate
	case s.state == Fault && s.heard.IsValid() && s.priority != PriorityResign:
		out += fmt.Sprintf("; %s serves with priority %d", s.heard, s.priority)
	}
	return out
}

// waiting says why the instance would be MASTER if it were alone.
func (s said) waiting() string {
	switch {
	case s.reason.Kind == lostPeer, s.cause == CauseResigned:
		return s.reason.sentence()
	case s.cause == CausePreempted:
		return fmt.Sprintf("lower priority %d from %s", s.priority, s.heard)
	case s.cause == CauseSilentPeer:
		return fmt.Sprintf("no advert from %s any more", s.heard)
	}
	return "no other director is heard"
}
