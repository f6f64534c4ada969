package vrrp

import "time"

// receive handles an advert of a peer.
func (m *Machine) receive(a Advert) []Action {
	s := &m.mem
	a.Source = a.Source.Unmap()
	if s.State == Init || a.Source == m.p.Source {
		return nil
	}
	if a.Interval <= 0 || m.p.Version == 2 { // version 2: Classify has checked that both are equal
		a.Interval = m.p.AdvertInterval
	}
	m.hear()
	m.doubtAlarms(a.Source, a.Priority)
	s.Heard, s.HeardPriority, s.HeardInterval, s.HeardAt = a.Source, a.Priority, a.Interval, s.Now
	switch s.State {
	case Backup:
		m.receiveAsBackup(a)
	case Master:
		return m.receiveAsMaster(a)
	case Fault:
		if !s.Faulted { // degraded: behaves as a BACKUP that does not preempt
			why := s.StateReason
			m.receiveAsBackup(a)
			s.StateReason = why
		}
	}
	return nil
}

// receiveAsBackup follows RFC 9568 6.4.2.
func (m *Machine) receiveAsBackup(a Advert) {
	s := &m.mem
	s.Extended = false
	if s.Handover.Retains && a.Priority != PriorityResign {
		s.Handover.RetainUntil = min(s.Handover.RetainUntil, s.Now+RetainFor)
	}
	if a.Priority == PriorityResign {
		// A MASTER may resign twice in a row (keepalived does when it goes to FAULT): the first resignation counts.
		if s.Now+m.skewTime() < m.downAt() {
			s.DownFrom, s.Resigned = s.Now, true
		}
		s.Cause, s.StateReason = CauseResigned, stateReason{Kind: peerResigned, Peer: a.Source}
		return
	}
	lower := a.Priority < m.p.Priority
	if !lower {
		s.Lower = false
	} else if !s.Lower {
		s.Lower, s.LowerSince = true, s.Now
	}
	s.StateReason = stateReason{Kind: m.compareMaster(a.Priority), Peer: a.Source, Priority: a.Priority}
	switch s.StateReason.Kind {
	case preempting: // ignored, so that the timer expires
		s.Cause = CausePreempted
		return
	case preemptDelay:
		s.StateReason.For = m.p.PreemptDelay
	case notReady:
		s.StateReason.Text = s.NotReadyReason
	case gated:
		s.StateReason.Text = s.Gate
	case heldOff:
		s.StateReason.For = s.HoldOffUntil - s.LostAt
	}
	s.MasterInterval, s.DownFrom, s.Resigned, s.Cause = a.Interval, s.Now, false, CauseSilentPeer
}

// compareMaster says whether a BACKUP would preempt a MASTER of the given priority, which is not 0, or why it would
// not. A degraded MASTER is preempted as if it had resigned: preempt: false and preempt_delay avoid an interruption for the
// clients of a MASTER that serves.
func (m *Machine) compareMaster(priority uint8) reasonKind {
	s := &m.mem
	serves := priority != PriorityDegraded
	switch {
	case priority > m.p.Priority:
		return higherPeer
	case priority == m.p.Priority:
		return equalPeer
	case serves && s.Handover.Out:
		return stayingOut
	case serves && !m.p.mayPreempt():
		return preemptOff
	case s.Gate != "":
		return gated
	case s.NotReady || s.Degraded != "":
		return notReady
	case s.Now < s.HoldOffUntil:
		return heldOff
	case serves && m.p.PreemptDelay > 0 && s.Now-s.LowerSince < m.p.PreemptDelay:
		return preemptDelay
	}
	return preempting
}

// Contends reports whether a BACKUP takes the VIPs from the MASTER that it hears as soon as it is ready and its delays have passed.
func (m *Machine) Contends() bool {
	switch m.mem.StateReason.Kind {
	case preempting, notReady, heldOff, preemptDelay, together:
		return m.mem.State == Backup
	}
	return false
}

// reconsider restarts the full master-down timer for a live MASTER of lower priority that was about to be preempted if
// preemption is no longer allowed.
func (m *Machine) reconsider() {
	s := &m.mem
	if s.State == Backup && s.Cause == CausePreempted && m.compareMaster(s.HeardPriority) != preempting {
		s.DownFrom, s.Resigned, s.Cause, s.MasterInterval = s.HeardAt, false, CauseSilentPeer, s.HeardInterval
	}
}

// receiveAsMaster follows RFC 9568 6.4.3.
func (m *Machine) receiveAsMaster(a Advert) []Action {
	s := &m.mem
	switch {
	case m.silentTooLong():
		// A peer that took over sent this advert during our stall: it is MASTER now, and an advert from us would only
		// disturb its clients.
		if s.Degraded != "" {
			return append(m.yield([]Action{Release{}}), m.receive(a)...)
		}
		duration := s.Now - s.AdvertDue + m.p.AdvertInterval
		acts := m.stepBack(stateReason{Kind: stalled, Peer: a.Source, Priority: a.Priority, For: duration}, CauseSilentPeer, a.Interval)
		if a.Priority == PriorityResign {
			m.receiveAsBackup(a)
		}
		return acts
	case a.Priority == PriorityResign:
		return m.answerResignation()
	case !m.EffectiveParams().outrankedBy(a.Priority, a.Source) && m.givesWayEmpty(a.Priority):
		return m.giveWayEmpty(a.Source, a.Priority, a.Interval)
	case !m.EffectiveParams().outrankedBy(a.Priority, a.Source):
		return m.answer(a)
	case m.p.OwnerIgnoresAdverts && m.EffectiveParams().Priority == PriorityOwner:
		return nil
	}
	why := stateReason{Kind: higherPeer, Peer: a.Source, Priority: a.Priority}
	switch {
	case s.Handover.Begun:
		why.Kind = handedOver
	case a.Priority == m.p.Priority:
		why.Kind = higherAddr
	}
	return m.replaced(why, a.Interval, m.lastAdvert()...)
}

// replaced leaves MASTER for a better one that is alive. That one may have become MASTER just now: it adds the
// VIPs after its first advert, and announces them then. Until it has, the VIPs stay here, so that clients are answered all the
// time. If it has been MASTER all along, its answer to the last advert, if that is sent, is an announcement: it must be the last
// one that clients see, so that this director stops to announce the VIPs before it sends the advert.
func (m *Machine) replaced(why stateReason, interval time.Duration, last ...Action) []Action {
	s := &m.mem
	acts := append([]Action{m.retain(RetainFor)}, last...)
	m.listen(interval, CauseSilentPeer)
	if s.Degraded != "" {
		return append(acts, m.enter(Fault, stateReason{Kind: faulted, Text: s.Degraded}))
	}
	return append(acts, m.enter(Backup, why))
}

// lastAdvert is sent by a MASTER that gives way. A winner that has been MASTER all along has no other way to learn that there
// were two MASTERs and that clients may have this director's MAC address for the VIPs: it announces them again. (keepalived:
// vrrp_higher_prio_send_advert.)
func (m *Machine) lastAdvert() []Action {
	if m.p.HigherPrioNoAdvert {
		return nil
	}
	return []Action{m.advertise()}
}

// answerResignation asserts a MASTER when another one resigns. That one answered for the VIPs as well: clients may have its
// MAC address for them. The end of a rival is dealt with by announceOver.
func (m *Machine) answerResignation() []Action {
	s := &m.mem
	s.AdvertDue = s.Now + m.p.AdvertInterval
	acts := []Action{m.advertise()}
	if !s.Rival {
		acts = append(acts, Announce{Why: WhyResigned})
	}
	return acts
}

// answer asserts a MASTER against one of lower rank.
func (m *Machine) answer(a Advert) (acts []Action) {
	if !m.p.LowerPrioNoAdvert {
		m.mem.AdvertDue = m.mem.Now + m.p.AdvertInterval
		acts = append(acts, m.advertise())
	}
	return append(acts, m.announceOver(a.Interval))
}

// announceOver handles an advert of a MASTER that should give way to us. If it has not done so for three intervals, it
// does not hear us: then the VIPs are announced when it has been silent for almost that long.
func (m *Machine) announceOver(interval time.Duration) Announce {
	s := &m.mem
	interval = max(interval, m.p.AdvertInterval)
	span := downAdverts * interval
	if !s.Rival || s.Now-s.RivalAt > span {
		s.Rival, s.RivalSince = true, s.Now
	}
	s.RivalAt = s.Now
	if s.RivalAt-s.RivalSince >= span {
		return Announce{Why: WhyRival, After: span - interval/2}
	}
	return Announce{Why: WhyLowerMaster}
}

// silentTooLong reports whether this MASTER has sent no advert for so long that a peer would have taken over.
func (m *Machine) silentTooLong() bool {
	return m.mem.State == Master && m.mem.Now-m.mem.AdvertDue >= m.longAgo(m.p.AdvertInterval)
}

// longAgo is for how long after its deadline a timer has been missed so long that the adverts of others decide: as many
// adverts as must be missing are, with at least one interval.
func (m *Machine) longAgo(interval time.Duration) time.Duration {
	return max(time.Duration(m.p.DownAdverts)-1, 1) * interval
}

// takeOverCause returns the cause of a takeover when the master-down timer expires.
func (m *Machine) takeOverCause() (Cause, stateReason) {
	s := &m.mem
	silence := s.Now - s.HeardAt
	switch {
	case s.StateReason.Kind == lostPeer:
		return CauseSilentPeer, s.StateReason
	case s.Cause == CauseOwner:
		return CauseOwner, stateReason{Kind: owner}
	case s.Cause == CauseAlone:
		return CauseAlone, stateReason{Kind: alone, For: s.Now - s.Since}
	case s.Cause == CauseResigned:
		return CauseResigned, stateReason{Kind: peerResigned, Peer: s.Heard}
	case s.Cause == CausePreempted && silence < downAdverts*s.HeardInterval:
		return CausePreempted, stateReason{Kind: preempted, Peer: s.Heard, Priority: s.HeardPriority, Own: m.p.Priority}
	}
	return CauseSilentPeer, stateReason{Kind: silentPeer, Peer: s.Heard, For: silence}
}

// downAt is when the master-down timer of a BACKUP expires.
func (m *Machine) downAt() time.Duration {
	if m.mem.Resigned {
		return m.mem.DownFrom + m.skewTime()
	}
	return m.mem.DownFrom + m.MasterDownInterval()
}
