package vrrp

import (
	"net/netip"
	"time"
)

// Machine is the election of one virtual router on one director. It is not safe for concurrent use: one goroutine owns
// it. A copy of a Machine is an independent snapshot.
type Machine struct {
	p   Params
	mem memory
	// text is the reason for said, as last returned by Reason.
	said said
	text string
}

// memory is the state of a machine apart from its parameters. Times are on the caller's clock.
type memory struct {
	Now         time.Duration `json:"now"` // of the last Step
	State       State         `json:"state"`
	Since       time.Duration `json:"since"`
	StateReason stateReason   `json:"state_reason"`

	NotReady       bool   `json:"not_ready"`
	NotReadyReason string `json:"not_ready_reason"`
	// Empty: no real server of this director takes connections. As MASTER it does not give way to a MASTER of lower rank
	// again before GaveWayUntil.
	Empty        bool          `json:"empty,omitempty"`
	GaveWayUntil time.Duration `json:"gave_way_until,omitempty"`

	Faulted     bool   `json:"faulted"`
	FaultReason string `json:"fault_reason"`
	Degraded    string `json:"degraded"` // the reason; "": not degraded

	// MasterInterval is Active_Adver_Interval of RFC 9568: learned as BACKUP in version 3, otherwise our own.
	MasterInterval time.Duration `json:"master_interval"`

	// BACKUP: the master-down timer is stored as its start, so that it follows a change of priority. Resigned: the
	// MASTER resigned, and the timer is only the skew.
	DownFrom time.Duration `json:"down_from"`
	Resigned bool          `json:"resigned"`
	Cause    Cause         `json:"cause"` // of the takeover if the timer expires now
	// Extended: the timer expired during a stall of this director and has been extended once.
	Extended bool `json:"extended"`
	// Gate is why this director must not become MASTER, "" if it may. Due: the master-down timer has expired, and only the
	// gate, or the others of its sync group, keep it from being MASTER.
	Gate string `json:"gate,omitempty"`
	Due  bool   `json:"due,omitempty"`
	// NotBefore is when the delay of the start ends.
	NotBefore time.Duration `json:"not_before,omitempty"`
	Hears     deafness      `json:"hears,omitzero"`

	// LowerSince is when the first advert of a lower priority was received, for the preempt delay; Lower says whether
	// there was one.
	Lower      bool          `json:"lower"`
	LowerSince time.Duration `json:"lower_since"`

	Handover handover `json:"handover"`

	// MASTER: when the next advert is due.
	AdvertDue time.Duration `json:"advert_due"`
	// StalledUntil is when a MASTER last found that it had missed sending an advert, and StalledFor how late it was;
	// Stalled says whether that ever happened.
	Stalled      bool          `json:"stalled"`
	StalledUntil time.Duration `json:"stalled_until"`
	StalledFor   time.Duration `json:"stalled_for"`

	// MASTER: since when, without an interruption, adverts of another MASTER that gives way to us are received, and when
	// the last one was; Rival says whether there was one.
	Rival      bool          `json:"rival"`
	RivalSince time.Duration `json:"rival_since"`
	RivalAt    time.Duration `json:"rival_at"`

	// Losses counts how often in a row this director lost its VIPs, the last time at LostAt; it does not preempt before
	// HoldOffUntil.
	Losses       int           `json:"losses"`
	LostAt       time.Duration `json:"lost_at"`
	HoldOffUntil time.Duration `json:"hold_off_until"`

	Alarms alarms `json:"alarms"`

	// The last advert received.
	Heard         netip.Addr    `json:"heard"`
	HeardPriority uint8         `json:"heard_priority"`
	HeardInterval time.Duration `json:"heard_interval"`
	HeardAt       time.Duration `json:"heard_at"`
}

// NewMachine returns a machine in INIT, ready and without fault. Zero values in p mean their defaults; with other
// values that Params.Validate refuses the behaviour is defined but useless.
func NewMachine(p Params) *Machine {
	p = p.withDefaults()
	return &Machine{p: p, mem: memory{MasterInterval: p.AdvertInterval}}
}

// Step processes ev at now and returns the actions to carry out, nil for none. now is monotonic time since any epoch; a
// now earlier than that of a previous Step counts as that one. Adverts are processed before timers: a MASTER that
// stalled and then receives an advert of higher priority steps back without sending an advert.
func (m *Machine) Step(now time.Duration, ev Event) []Action {
	m.mem.Now = max(now, m.mem.Now)
	if m.mem.State == Master && m.mem.Now-m.mem.AdvertDue >= m.p.AdvertInterval {
		m.mem.Stalled, m.mem.StalledUntil, m.mem.StalledFor = true, m.mem.Now, m.mem.Now-m.mem.AdvertDue
	}
	return m.expire(m.handle(ev))
}

func (m *Machine) handle(ev Event) []Action {
	switch e := ev.(type) {
	case Startup:
		return m.startup(e.Delay)
	case TakeOver:
		return m.takeOverTogether()
	case StepDown:
		return m.stepDown(e)
	case Reannounce:
		return m.reannounce()
	case Advert:
		return m.receive(e)
	case Evidence:
		return m.receiveEvidence(e)
	case Shutdown:
		return m.shutdown()
	case Ready:
		m.mem.NotReady, m.mem.NotReadyReason, m.mem.Empty = false, "", false
	case NotReady:
		m.mem.NotReady, m.mem.NotReadyReason, m.mem.Empty = true, e.Reason, e.Empty
		m.reconsider()
	case Deaf:
		m.deafen(e.For)
	case Hearing:
		m.hear()
	case Faulted:
		return m.fault(e.Reason)
	case Degraded:
		return m.degrade(e.Reason)
	case Recover:
		return m.clearFault()
	case Lost:
		return m.loseVIPs(e.Reason)
	case HandOver:
		m.handOver(e)
	case TakeBack:
		m.takeBack()
	case Succeeded:
		return m.letGo()
	case PeerLost:
		return m.losePeer(e)
	case Gate:
		m.shut(e.Reason)
	case Reconfigure:
		m.reconfigure(e.Params)
	}
	return nil
}

// expire handles the timer of the state if it has expired. Afterwards Deadline is in the future.
func (m *Machine) expire(acts []Action) []Action {
	s := &m.mem
	if s.Handover.Retains && s.Now >= s.Handover.RetainUntil {
		acts = append(acts, m.letGo()...)
	}
	due, ok := m.timer()
	if !ok || s.Now < due {
		s.Due = false
		return acts
	}
	if s.State != Master {
		if !s.Due && m.extendAfterStall(s.Now-due) {
			return acts
		}
		if s.Due = s.Gate != "" || m.p.Grouped; s.Due {
			return acts
		}
		cause, why := m.takeOverCause()
		return m.takeOver(acts, cause, why)
	}
	if s.Handover.Begun && s.Now >= s.Handover.Until {
		if s.Handover.Resign || s.Handover.Yields {
			return append(acts, m.unsucceeded()...)
		}
		m.takeBack() // the usual priority is advertised below
	}
	if m.silentTooLong() { // no advert was received, or this director would no longer be MASTER
		return append(acts, m.reclaim()...)
	}
	late := s.Now - s.AdvertDue
	// Fixed steps from the due time, so that adverts do not drift; adverts missed in a stall are not sent later.
	s.AdvertDue += (1 + late/m.p.AdvertInterval) * m.p.AdvertInterval
	return append(acts, m.advertise())
}

// reclaim adds the VIPs again after a stall in which no other director took over; the kernel may have removed them in
// the meantime.
func (m *Machine) reclaim() []Action {
	m.mem.AdvertDue = m.mem.Now + m.p.AdvertInterval
	return []Action{m.advertise(), Acquire{Cause: CauseStalled}}
}

// extendAfterStall gives a BACKUP whose timer expired long ago the time for one more advert. After a stop of the
// process the missed adverts are queued on its socket; after a stop of the whole host they are lost, and the next
// advert decides.
func (m *Machine) extendAfterStall(late time.Duration) bool {
	s := &m.mem
	if s.Extended || late < m.longAgo(s.MasterInterval) {
		return false
	}
	s.Extended = true
	s.DownFrom += s.Now - m.downAt() + s.MasterInterval + m.skewTime()
	return true
}

const (
	// stallLossWindow is how soon after a stall an expired lease is attributed to it, and the least length of such a
	// stall. Every lease is longer.
	stallLossWindow = time.Second
	// A director that keeps losing its VIPs would preempt a healthy one again and again. After the first loss it does
	// not preempt for holdOffMin, after each further loss for twice as long; a loss more than lossWindow after the last
	// one counts as the first. If there is no MASTER it takes over anyway.
	holdOffMin = 10 * time.Second
	holdOffMax = 5 * time.Minute
	lossWindow = 3 * holdOffMax
)

func (m *Machine) loseVIPs(reason string) []Action {
	s := &m.mem
	switch {
	case s.State != Master:
		return m.letGo()
	case s.Stalled && s.StalledFor >= stallLossWindow && s.Now-s.StalledUntil < stallLossWindow:
		return m.reclaim()
	}
	if s.Losses > 0 && s.Now-s.LostAt >= lossWindow {
		s.Losses = 0
	}
	s.LostAt, s.HoldOffUntil = s.Now, s.Now+holdOffFor(s.Losses)
	s.Losses++
	if s.Degraded != "" {
		return m.yield([]Action{Release{}})
	}
	return m.stepBack(stateReason{Kind: lost, Text: reason}, CauseAlone, m.p.AdvertInterval)
}

// holdOffFor is for how long this director does not preempt after losing its VIPs, if it has lost them so many times
// before.
func holdOffFor(before int) time.Duration {
	return min(holdOffMin<<min(before, 10), holdOffMax)
}

// startup follows RFC 9568 6.4.1.
func (m *Machine) startup(delay time.Duration) []Action {
	s := &m.mem
	if s.State == Init && delay > 0 {
		s.NotBefore = s.Now + delay
	}
	switch {
	case s.State != Init:
		return nil
	case s.Faulted:
		return []Action{m.enter(Fault, stateReason{Kind: faulted, Text: s.FaultReason})}
	case s.Degraded != "":
		m.listen(m.p.AdvertInterval, CauseAlone)
		return []Action{m.enter(Fault, stateReason{Kind: faulted, Text: s.Degraded})}
	case m.p.Priority == PriorityOwner && !s.NotReady && s.Gate == "" && delay <= 0 && !s.Hears.Deaf && !m.p.Grouped:
		return m.takeOver(nil, CauseOwner, stateReason{Kind: owner})
	}
	m.listen(m.p.AdvertInterval, CauseAlone)
	why := stateReason{Kind: listening, For: max(m.MasterDownInterval(), delay)}
	if m.p.Priority == PriorityOwner && !s.NotReady && s.Gate == "" { // it waits only for the delay, its link or its group
		s.Cause, s.DownFrom = CauseOwner, s.Now-m.MasterDownInterval()
	}
	return []Action{m.enter(Backup, why)}
}

func (m *Machine) shutdown() []Action {
	if m.mem.State == Init {
		return nil
	}
	acts := append(m.letGo(), m.resign()...)
	m.mem.Heard, m.mem.HeardPriority = netip.Addr{}, 0
	m.mem.Handover, m.mem.Hears = handover{}, deafness{}
	return append(acts, m.enter(Init, stateReason{Kind: stopped}))
}

func (m *Machine) fault(reason string) []Action {
	s := &m.mem
	s.Faulted, s.FaultReason = true, reason
	switch s.State {
	case Init:
		return nil
	case Fault:
		s.StateReason.Text = reason
		return nil
	}
	acts := append(m.letGo(), m.resign()...)
	if s.State == Master { // the peer heard before we became MASTER is not MASTER now
		s.Heard, s.HeardPriority = netip.Addr{}, 0
	}
	return append(acts, m.enter(Fault, stateReason{Kind: faulted, Text: reason}))
}

func (m *Machine) clearFault() []Action {
	s := &m.mem
	reason := s.FaultReason
	was := s.Faulted
	s.Faulted, s.FaultReason = false, ""
	if s.State != Fault || !was {
		return nil
	}
	m.listen(m.p.AdvertInterval, CauseAlone)
	if s.Degraded != "" {
		s.StateReason.Text = s.Degraded
		return nil
	}
	return []Action{m.enter(Backup, stateReason{Kind: recovered, Text: reason})}
}

func (m *Machine) degrade(reason string) []Action {
	s := &m.mem
	before := s.Degraded
	s.Degraded = reason
	switch {
	case s.State == Init || s.Faulted:
		return nil
	case reason == "" && s.State == Fault:
		m.listen(m.p.AdvertInterval, CauseAlone)
		return []Action{m.enter(Backup, stateReason{Kind: recovered, Text: before})}
	case reason == "":
		s.Handover.Yields = false
		if s.State == Master && before != "" { // its priority is the configured one again: expire advertises it at once
			s.AdvertDue = min(s.AdvertDue, s.Now)
		}
		return nil
	case s.State == Fault:
		s.StateReason.Text = reason
		return nil
	case s.State == Master && before != "": // it resigned once, and no other director took over
		return nil
	case s.State == Master && s.Handover.Begun: // it will, if nobody takes over
		s.Handover.Yields = true
		return nil
	}
	return m.yield(append(m.letGo(), m.resign()...))
}

// yield goes to FAULT after acts, because this director is degraded. A BACKUP keeps its running master-down timer.
func (m *Machine) yield(acts []Action) []Action {
	s := &m.mem
	if s.State == Master {
		s.Heard, s.HeardPriority = netip.Addr{}, 0
		m.listen(m.p.AdvertInterval, CauseAlone)
	}
	m.reconsider()
	return append(acts, m.enter(Fault, stateReason{Kind: faulted, Text: s.Degraded}))
}

// reconfigure keeps state and reason. A BACKUP's timer changes with the priority; a MASTER's next advert is never sent
// later than peers expect by the old interval, and carries the new one.
func (m *Machine) reconfigure(p Params) {
	p.VRID, p.Version = m.p.VRID, m.p.Version
	old := m.p
	m.p = p.withDefaults()
	s := &m.mem
	if m.p.Version == 2 || s.State != Backup || s.MasterInterval == old.AdvertInterval && s.Cause == CauseAlone {
		s.MasterInterval = m.p.AdvertInterval
	}
	if s.State == Master {
		s.AdvertDue = min(s.AdvertDue, s.Now+m.p.AdvertInterval)
	}
	m.reconsider()
}

// resign sends a MASTER's priority-0 advert, then releases the VIPs. In other states it does nothing.
func (m *Machine) resign() []Action {
	if m.mem.State != Master {
		return nil
	}
	return []Action{SendAdvert{Priority: PriorityResign}, Release{}}
}

// takeOver enters MASTER: RFC 9568 6.4.2. The advert is sent first, so that a peer about to take over receives it as
// early as possible.
func (m *Machine) takeOver(acts []Action, cause Cause, why stateReason) []Action {
	s := &m.mem
	acts = append(acts, m.letGo()...)
	s.Handover = handover{}
	s.MasterInterval = m.p.AdvertInterval
	s.AdvertDue = s.Now + m.p.AdvertInterval
	s.Rival, s.Due = false, false
	return append(acts, m.advertise(), Acquire{Cause: cause}, m.enter(Master, why))
}

// stepBack goes from MASTER to BACKUP without sending an advert.
func (m *Machine) stepBack(why stateReason, cause Cause, masterInterval time.Duration) []Action {
	m.listen(masterInterval, cause)
	return []Action{Release{}, m.enter(Backup, why)}
}

// listen starts the master-down timer from its full length.
func (m *Machine) listen(masterInterval time.Duration, cause Cause) {
	s := &m.mem
	s.MasterInterval, s.DownFrom, s.Resigned, s.Cause, s.Lower = masterInterval, s.Now, false, cause, false
	s.Extended = false
}

func (m *Machine) advertise() Action { return SendAdvert{Priority: m.EffectiveParams().Priority} }

// enter is the only place where the state changes.
func (m *Machine) enter(to State, why stateReason) Action {
	s := &m.mem
	from := s.State
	s.Handover.Begun = false
	s.State, s.Since, s.StateReason = to, s.Now, why
	return Transition{From: from, To: to, Reason: m.Reason()}
}
