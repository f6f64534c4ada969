package vrrp

import (
	"net/netip"
	"time"
)

// Deadline returns when Step needs the next Tick; after a Step it is always later than that Step's time. ok is false in
// INIT, in FAULT because of Faulted, and while the machine is due but held back: no timer runs then.
func (m *Machine) Deadline() (at time.Duration, ok bool) {
	at, ok = m.timer()
	if m.mem.Due {
		at, ok = 0, false
	}
	if h := &m.mem.Handover; h.Retains && (!ok || h.RetainUntil < at) {
		return h.RetainUntil, true
	}
	return at, ok
}

// timer returns when the timer of the state expires; ok is false if the state has none.
func (m *Machine) timer() (at time.Duration, ok bool) {
	s := &m.mem
	switch {
	case s.State == Backup, s.State == Fault && !s.Faulted:
		return max(m.downAt(), s.NotBefore, m.deafUntil()), true
	case s.State == Master && s.Handover.Begun:
		return min(s.AdvertDue, s.Handover.Until), true
	case s.State == Master:
		return s.AdvertDue, true
	}
	return 0, false
}

// DrainFirst reports whether a Step at now could find that this director stalled, or that the MASTER's adverts stopped.
// Then every advert that is queued on the socket must be processed first: the adverts may have arrived while this
// director was stalled.
func (m *Machine) DrainFirst(now time.Duration) bool {
	due, ok := m.timer()
	if s := &m.mem; s.State == Master && !(s.Handover.Begun && now >= s.Handover.Until) {
		due += m.p.AdvertInterval / 2
	}
	return ok && now >= due
}

// State returns the state.
func (m *Machine) State() State { return m.mem.State }

// Since returns when the state was entered, on the clock of Step; 0 before the first transition.
func (m *Machine) Since() time.Duration { return m.mem.Since }

// SilentPeer returns the router whose silence has made this director MASTER. It is invalid in another state, after another cause,
// and once a router has been heard since.
func (m *Machine) SilentPeer() netip.Addr {
	s := &m.mem
	if why := s.StateReason; s.State == Master && s.HeardAt < s.Since && (why.Kind == silentPeer || why.Kind == lostPeer) {
		return why.Peer
	}
	return netip.Addr{}
}

// Params returns the parameters in use, with defaults filled in.
func (m *Machine) Params() Params { return m.p }

// EffectiveParams returns the parameters with which this director takes part in the election: those of Params, with
// PriorityDegraded while it is degraded or hands over. That includes the skew, so that a degraded director is the last one to take VIPs
// that nobody holds.
func (m *Machine) EffectiveParams() Params {
	p := m.p
	if m.mem.Degraded != "" || m.lowers() {
		p.Priority = PriorityDegraded
	}
	return p
}

// MasterDownInterval returns the master-down interval in use: based on the interval that a BACKUP has learned from the
// MASTER in version 3, otherwise on our own.
func (m *Machine) MasterDownInterval() time.Duration {
	return MasterDownInterval(m.p.Version, m.EffectiveParams().Priority, m.mem.MasterInterval, m.p.DownAdverts)
}

// skewTime returns the skew in use; see MasterDownInterval.
func (m *Machine) skewTime() time.Duration {
	return SkewTime(m.p.Version, m.EffectiveParams().Priority, m.mem.MasterInterval)
}

// Master returns the source of the last advert received and its priority, 0 if it resigned. The address is invalid if
// no advert was received since the start. While this director is MASTER, it is a peer that was MASTER or still
// considers itself MASTER.
func (m *Machine) Master() (source netip.Addr, priority uint8) {
	return m.mem.Heard, m.mem.HeardPriority
}
