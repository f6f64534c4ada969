package vrrp

import (
	"fmt"
	"net/netip"
	"time"
)

// ground is what a state rests on; reason turns it into a sentence when somebody asks, so that hearing an advert costs
// no string.
type ground struct {
	Kind     groundKind    `json:"kind"`
	Peer     netip.Addr    `json:"peer"`
	Priority uint8         `json:"priority"`
	Own      uint8         `json:"own"` // our priority then
	For      time.Duration `json:"for"`
	Text     string        `json:"text"`
}

type groundKind uint8

const (
	notStarted groundKind = iota
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
	barred       // for For
	preempting
	peerResigned
	alone      // nobody heard for For
	silentPeer // Peer not heard for For
	preempted
	owner
	faulted // because of Text
	stalled // for For, and Peer serves with Priority meanwhile, or served and resigned
)

func (g ground) sentence() string {
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
	case barred:
		return fmt.Sprintf("lower priority %d from %s, left alone for %s, for this director could not hold the virtual addresses",
			g.Priority, g.Peer, brief(g.For))
	case preempting:
		return fmt.Sprintf("lower priority %d from %s, taking over when the master-down timer ends", g.Priority, g.Peer)
	case peerResigned:
		return fmt.Sprintf("%s resigned (priority 0)", g.Peer)
	case alone:
		return fmt.Sprintf("no other director heard for %s", brief(g.For))
	case silentPeer:
		return fmt.Sprintf("no advert from %s for %s", g.Peer, brief(g.For))
	case preempted:
		return fmt.Sprintf("preempted %s, whose priority %d is lower than %d", g.Peer, g.Priority, g.Own)
	case owner:
		return "address owner (priority 255)"
	case faulted:
		return g.Text
	case stalled:
		if g.Priority == PriorityResign {
			return fmt.Sprintf("stood still for %s, and %s served and resigned meanwhile", brief(g.For), g.Peer)
		}
		return fmt.Sprintf("stood still for %s, and %s serves with priority %d meanwhile", brief(g.For), g.Peer, g.Priority)
	}
	return "unknown"
}

// brief rounds to hundredths of a second: a person reads 3.61s, not 3.609375s.
func brief(d time.Duration) string { return d.Round(10 * time.Millisecond).String() }

// Reason returns why the machine is in its state, as a sentence that a person can act on. It begins with the state.
func (m *Machine) Reason() string {
	s := &m.mem
	out := s.State.String() + ": " + s.Ground.sentence()
	switch {
	case s.State == Init && s.Faulted:
		out += "; fault: " + s.FaultReason
	case s.State == Master && s.Hindered != "":
		out += "; hindered, and nobody else serves: " + s.Hindered
	case s.State == Fault && s.Heard.IsValid() && s.HeardPriority != PriorityResign:
		out += fmt.Sprintf("; %s serves with priority %d", s.Heard, s.HeardPriority)
	}
	return out
}
