package vrrp

import "time"

// hear handles an advert of a peer.
func (m *Machine) hear(a Advert) []Action {
	s := &m.mem
	a.Source = a.Source.Unmap()
	if s.State == Init || a.Source == m.p.Source {
		return nil
	}
	if a.Interval <= 0 || m.p.Version == 2 { // version 2: Accept has seen that both are the same
		a.Interval = m.p.AdvertInterval
	}
	s.Heard, s.HeardPriority, s.HeardInterval, s.HeardAt = a.Source, a.Priority, a.Interval, s.Now
	switch s.State {
	case Backup:
		m.hearAsBackup(a)
	case Master:
		return m.hearAsMaster(a)
	case Fault:
		if !s.Faulted { // hindered: a BACKUP that does not preempt
			why := s.Ground
			m.hearAsBackup(a)
			s.Ground = why
		}
	}
	return nil
}

// hearAsBackup follows RFC 9568 6.4.2.
func (m *Machine) hearAsBackup(a Advert) {
	s := &m.mem
	s.Reprieved = false
	if a.Priority == PriorityResign {
		// A MASTER may resign twice in a row (keepalived does, on its way to FAULT): the first one counts.
		if skew := SkewTime(m.p.Version, m.p.Priority, s.MasterInterval); s.Now+skew < m.downAt() {
			s.DownFrom, s.Resigned = s.Now, true
		}
		s.Cause, s.Ground = CauseResigned, ground{Kind: peerResigned, Peer: a.Source}
		return
	}
	lower := a.Priority < m.p.Priority
	if !lower {
		s.Lower = false
	} else if !s.Lower {
		s.Lower, s.LowerSince = true, s.Now
	}
	s.Ground = ground{Kind: m.standing(a.Priority), Peer: a.Source, Priority: a.Priority}
	switch s.Ground.Kind {
	case preempting: // ignored, so that the timer runs out
		s.Cause = CausePreempted
		return
	case preemptDelay:
		s.Ground.For = m.p.PreemptDelay
	case notReady:
		s.Ground.Text = s.NotReadyReason
	case barred:
		s.Ground.For = s.BarredUntil - s.LostAt
	}
	s.MasterInterval, s.DownFrom, s.Resigned, s.Cause = a.Interval, s.Now, false, CauseSilentPeer
}

// standing says how a BACKUP stands to a MASTER of the given priority, which is not 0.
func (m *Machine) standing(priority uint8) groundKind {
	s := &m.mem
	switch {
	case priority > m.p.Priority:
		return higherPeer
	case priority == m.p.Priority:
		return equalPeer
	case !m.p.mayPreempt():
		return preemptOff
	case s.NotReady || s.Hindered != "":
		return notReady
	case s.Now < s.BarredUntil:
		return barred
	case m.p.PreemptDelay > 0 && s.Now-s.LowerSince < m.p.PreemptDelay:
		return preemptDelay
	}
	return preempting
}

// reconsider gives a living MASTER of lower priority its full time back if what was about to preempt it no longer may.
func (m *Machine) reconsider() {
	s := &m.mem
	if s.State == Backup && s.Cause == CausePreempted && m.standing(s.HeardPriority) != preempting {
		s.DownFrom, s.Resigned, s.Cause, s.MasterInterval = s.HeardAt, false, CauseSilentPeer, s.HeardInterval
	}
}

// hearAsMaster follows RFC 9568 6.4.3.
func (m *Machine) hearAsMaster(a Advert) []Action {
	s := &m.mem
	switch {
	case m.outlasted():
		// It was sent while we stood still, by one who took over: he serves, and our word would only confuse.
		stood := s.Now - s.AdvertDue + m.p.AdvertInterval
		acts := m.stepBack(ground{Kind: stalled, Peer: a.Source, Priority: a.Priority, For: stood}, CauseSilentPeer, a.Interval)
		if a.Priority == PriorityResign {
			m.hearAsBackup(a)
		}
		return acts
	case a.Priority == PriorityResign:
		s.AdvertDue = s.Now + m.p.AdvertInterval
		return []Action{m.advertise()}
	case s.Hindered != "":
		acts := m.giveWay(s.Hindered)
		return append(acts, m.hear(a)...)
	case !m.p.outrankedBy(a.Priority, a.Source):
		s.AdvertDue = s.Now + m.p.AdvertInterval
		return []Action{m.advertise(), Announce{Why: WhyLowerMaster}}
	}
	kind := higherPeer
	if a.Priority == m.p.Priority {
		kind = higherAddr
	}
	// A farewell: one more advert. A winner that has been MASTER all the while learns from nothing else that there were
	// two, and that clients may look for the VIPs here: it announces them again. (keepalived has this as
	// vrrp_higher_prio_send_advert.)
	acts := []Action{m.advertise()}
	return append(acts, m.stepBack(ground{Kind: kind, Peer: a.Source, Priority: a.Priority}, CauseSilentPeer, a.Interval)...)
}

// outlasted says that as MASTER we have been silent for longer than the peers' patience: three adverts are missing.
func (m *Machine) outlasted() bool {
	return m.mem.State == Master && m.mem.Now-m.mem.AdvertDue >= (downAdverts-1)*m.p.AdvertInterval
}

// takeOverCause says what the end of the master-down timer means.
func (m *Machine) takeOverCause() (Cause, ground) {
	s := &m.mem
	silence := s.Now - s.HeardAt
	switch {
	case s.Cause == CauseAlone:
		return CauseAlone, ground{Kind: alone, For: s.Now - s.Since}
	case s.Cause == CauseResigned:
		return CauseResigned, ground{Kind: peerResigned, Peer: s.Heard}
	case s.Cause == CausePreempted && silence < downAdverts*s.HeardInterval:
		return CausePreempted, ground{Kind: preempted, Peer: s.Heard, Priority: s.HeardPriority, Own: m.p.Priority}
	}
	return CauseSilentPeer, ground{Kind: silentPeer, Peer: s.Heard, For: silence}
}

// downAt is when the master-down timer of a BACKUP ends.
func (m *Machine) downAt() time.Duration {
	if m.mem.Resigned {
		return m.mem.DownFrom + SkewTime(m.p.Version, m.p.Priority, m.mem.MasterInterval)
	}
	return m.mem.DownFrom + m.MasterDownInterval()
}
