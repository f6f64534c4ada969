package vrrp

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"
)

// The events by which a SyncGroup moves its members.
type (
	// TakeOver makes a member MASTER, whatever its timer says. A member that has a fault ignores it.
	TakeOver struct{}

	// StepDown takes a MASTER to BACKUP, a degraded one to FAULT, because another member of its group has left MASTER.
	StepDown struct {
		How    StepDownHow
		Reason string
	}

	// Reannounce makes a MASTER announce its VIPs again: another member has heard a MASTER of lower rank. If that router
	// moves its virtual routers together, too, it held those of this member as well, and may leave them without an advert.
	Reannounce struct{}
)

// StepDownHow is what a member sends when it steps down.
type StepDownHow uint8

const (
	// Silently sends nothing: the router that takes over is MASTER already.
	Silently StepDownHow = iota
	// WithAdvert sends a last advert, as a MASTER does that gives way, unless Params.HigherPrioNoAdvert. The VIPs stay until the
	// new MASTER has announced them.
	WithAdvert
	// WithResignation sends priority 0: no router is known to take over.
	WithResignation
)

var stepDownHows = [...]string{"silently", "with_advert", "with_resignation"}

// String returns "silently", "with_advert" or "with_resignation".
func (h StepDownHow) String() string {
	if int(h) < len(stepDownHows) {
		return stepDownHows[h]
	}
	return "StepDownHow(" + strconv.Itoa(int(h)) + ")"
}

func (TakeOver) event()   {}
func (StepDown) event()   {}
func (Reannounce) event() {}

func (TakeOver) String() string   { return "take_over" }
func (Reannounce) String() string { return "announce" }
func (e StepDown) String() string {
	return fmt.Sprintf("step_down %s %s", e.How, strconv.Quote(e.Reason))
}

func (m *Machine) takeOverTogether() []Action {
	if s := m.mem.State; s != Backup && (s != Fault || m.mem.Faulted) || m.mem.Gate != "" {
		return nil
	}
	cause, why := m.takeOverCause()
	return m.takeOver(nil, cause, why)
}

func (m *Machine) stepDown(e StepDown) []Action {
	s := &m.mem
	if s.State != Master {
		return nil
	}
	var acts []Action
	switch {
	case e.How == WithAdvert: // its MASTER takes the VIPs of the group, and announces them after the advert, if not before
		acts = append(acts, m.retain(RetainFor))
		acts = append(acts, m.lastAdvert()...)
	case e.How == WithResignation && s.Handover.Begun: // another director takes them after its skew
		acts = append(acts, SendAdvert{Priority: PriorityResign}, m.retain(m.longestSkew()+RetainFor))
	case e.How == WithResignation:
		acts = append(acts, SendAdvert{Priority: PriorityResign}, Release{})
	default:
		acts = append(acts, Release{})
	}
	if s.Degraded != "" {
		return m.yield(acts)
	}
	s.Heard, s.HeardPriority = netip.Addr{}, 0
	m.listen(m.p.AdvertInterval, CauseAlone)
	return append(acts, m.enter(Backup, stateReason{Kind: together, Text: e.Reason}))
}

func (m *Machine) reannounce() []Action {
	if m.mem.State != Master {
		return nil
	}
	return []Action{Announce{Why: WhyLowerMaster}}
}

// Due reports whether a member of a sync group would be MASTER if it were alone: it waits for the others.
func (m *Machine) Due() bool { return m.mem.Due && m.mem.Gate == "" }

// DueFor returns for how long Due has been true at now, on the clock of Step; 0 if it is false, at least 1.
func (m *Machine) DueFor(now time.Duration) time.Duration {
	if !m.Due() {
		return 0
	}
	at, _ := m.timer()
	return max(now-at, 1)
}
