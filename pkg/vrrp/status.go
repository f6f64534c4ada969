package vrrp

import (
	"net/netip"
	"time"
)

// Deadline returns when Step wants a Tick next; after a Step it is always later than that Step's time. ok is false in
// INIT and in FAULT by Faulted, where nothing is due.
func (m *Machine) Deadline() (at time.Duration, ok bool) {
	switch m.mem.State {
	case Backup:
		return m.downAt(), true
	case Master:
		return m.mem.AdvertDue, true
	case Fault:
		if !m.mem.Faulted {
			return m.downAt(), true
		}
	}
	return 0, false
}

// HearFirst says whether a Step at now could find that this director stood still, or that a MASTER fell silent. Then every
// advert that is queued on the socket has to be heard before it: it may say that the one who was deaf was us.
func (m *Machine) HearFirst(now time.Duration) bool {
	due, ok := m.Deadline()
	if m.mem.State == Master {
		due += m.p.AdvertInterval / 2
	}
	return ok && now >= due
}

// State returns the state.
func (m *Machine) State() State { return m.mem.State }

// Since returns when the state was entered, on the clock of Step; 0 before the first transition.
func (m *Machine) Since() time.Duration { return m.mem.Since }

// Params returns the parameters in force, defaults filled in.
func (m *Machine) Params() Params { return m.p }

// MasterDownInterval returns the master-down interval in force: with the interval that a BACKUP has learned from the
// MASTER in version 3, with our own otherwise.
func (m *Machine) MasterDownInterval() time.Duration {
	return MasterDownInterval(m.p.Version, m.p.Priority, m.mem.MasterInterval)
}

// Master returns the peer heard last and its priority, 0 if it resigned. The address is invalid if no peer was heard
// since the start. While we are MASTER it is a peer that was, or still believes to be.
func (m *Machine) Master() (source netip.Addr, priority uint8) {
	return m.mem.Heard, m.mem.HeardPriority
}
