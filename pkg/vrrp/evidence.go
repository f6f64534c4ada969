package vrrp

// receiveEvidence handles an advert that is refused. Its sender is a MASTER that follows no advert of ours, so that the
// election can only give way to it.
func (m *Machine) receiveEvidence(e Evidence) []Action {
	s := &m.mem
	e.Source = e.Source.Unmap()
	if s.State == Init || e.Source == m.p.Source {
		return nil
	}
	if e.Interval <= 0 {
		e.Interval = m.p.AdvertInterval
	}
	m.hear()
	m.doubtAlarms(e.Source, e.Priority)
	s.Heard, s.HeardPriority, s.HeardInterval, s.HeardAt = e.Source, e.Priority, e.Interval, s.Now
	why := stateReason{
		Kind: refusedPeer, Peer: e.Source, Priority: e.Priority,
		refusedAdvert: refusedAdvert{Version: e.Version, AuthType: e.AuthType, OwnAuth: m.p.AuthType, Why: e.Why, Interval: e.Interval},
	}
	switch s.State {
	case Backup:
		m.holdBack(e, why)
	case Master:
		return m.evidenceAsMaster(e, why)
	case Fault:
		if !s.Faulted {
			before := s.StateReason
			m.holdBack(e, why)
			s.StateReason = before
		}
	}
	return nil
}

// holdBack keeps a BACKUP from taking over for the master-down interval of the sender. Priority 0 ends that.
func (m *Machine) holdBack(e Evidence, why stateReason) {
	s := &m.mem
	if e.Priority == PriorityResign {
		m.receiveAsBackup(Advert{Source: e.Source, Priority: e.Priority, Interval: e.Interval})
		return
	}
	s.Extended, s.Lower = false, false
	s.MasterInterval, s.DownFrom, s.Resigned, s.Cause, s.StateReason = e.Interval, s.Now, false, CauseSilentPeer, why
}

// evidenceAsMaster: a MASTER gives way to a director of the cluster file of higher rank, and to any director of it if
// that took over while this one was stalled. There is no point in answering or in announcing
// the VIPs: the sender neither hears nor obeys us.
func (m *Machine) evidenceAsMaster(e Evidence, why stateReason) []Action {
	late := m.silentTooLong()
	outranked := m.EffectiveParams().outrankedBy(e.Priority, e.Source)
	empty := !late && !outranked && m.givesWayEmpty(e.Priority)
	switch {
	case !e.Director || e.Priority == PriorityResign || !late && !outranked && !empty:
		return nil
	case outranked && !late:
		return m.replaced(why, e.Interval)
	case m.mem.Degraded != "":
		acts := m.yield([]Action{Release{}})
		return append(acts, m.receiveEvidence(e)...)
	}
	acts := m.stepBack(why, CauseSilentPeer, e.Interval)
	if empty {
		m.gaveWayEmpty()
	}
	return acts
}
