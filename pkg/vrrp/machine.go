package vrrp

import (
	"net/netip"
	"time"
)

// Machine is the election of one virtual router on one director. It is not safe for concurrent use: one goroutine owns
// it. A copy of a Machine is a snapshot that lives on its own.
type Machine struct {
	p   Params
	mem memory
}

// memory is all that a machine remembers besides its parameters. Times are on the caller's clock.
type memory struct {
	Now    time.Duration `json:"now"` // of the last Step
	State  State         `json:"state"`
	Since  time.Duration `json:"since"`
	Ground ground        `json:"ground"`

	NotReady       bool   `json:"not_ready"`
	NotReadyReason string `json:"not_ready_reason"`
	Faulted        bool   `json:"faulted"`
	FaultReason    string `json:"fault_reason"`
	Hindered       string `json:"hindered"` // why; "": not at all

	// MasterInterval is Active_Adver_Interval of RFC 9568: learned as BACKUP in version 3, our own otherwise.
	MasterInterval time.Duration `json:"master_interval"`

	// BACKUP: the master-down timer is kept as its start, so that it follows a change of priority. Resigned: the
	// MASTER said that it stops, and only the skew is waited for.
	DownFrom time.Duration `json:"down_from"`
	Resigned bool          `json:"resigned"`
	Cause    Cause         `json:"cause"` // of the take-over, should the timer end now
	// Reprieved: the timer was found to have ended while we stood still, and has been given a little more once.
	Reprieved bool `json:"reprieved"`

	// LowerSince is when the first advert of a lower priority was heard, for the preempt delay; Lower says whether.
	Lower      bool          `json:"lower"`
	LowerSince time.Duration `json:"lower_since"`

	// MASTER: when the next advert is due.
	AdvertDue time.Duration `json:"advert_due"`
	// StoodUntil is when a MASTER last found that it had missed an advert of its own, and StoodFor how late it was; Stood
	// says whether it ever did.
	Stood      bool          `json:"stood"`
	StoodUntil time.Duration `json:"stood_until"`
	StoodFor   time.Duration `json:"stood_for"`

	// Losses counts how often this director lost its VIPs in a row, the last time at LostAt; it preempts nobody before
	// BarredUntil.
	Losses      int           `json:"losses"`
	LostAt      time.Duration `json:"lost_at"`
	BarredUntil time.Duration `json:"barred_until"`

	// The advert heard last.
	Heard         netip.Addr    `json:"heard"`
	HeardPriority uint8         `json:"heard_priority"`
	HeardInterval time.Duration `json:"heard_interval"`
	HeardAt       time.Duration `json:"heard_at"`
}

// NewMachine returns a machine in INIT, ready and without fault. Zero values in p mean their defaults; for anything
// else that Params.Validate refuses the behaviour is defined but useless.
func NewMachine(p Params) *Machine {
	p = p.withDefaults()
	return &Machine{p: p, mem: memory{MasterInterval: p.AdvertInterval}}
}

// Step lets ev happen at now and returns what is to be done, nil for nothing. now is monotonic time since any epoch; a
// now before that of an earlier Step counts as that one. What was heard comes before what is due: a MASTER that was
// stalled and then hears a higher one steps back without an advert of its own.
func (m *Machine) Step(now time.Duration, ev Event) []Action {
	m.mem.Now = max(now, m.mem.Now)
	if m.mem.State == Master && m.mem.Now-m.mem.AdvertDue >= m.p.AdvertInterval {
		m.mem.Stood, m.mem.StoodUntil, m.mem.StoodFor = true, m.mem.Now, m.mem.Now-m.mem.AdvertDue
	}
	return m.expire(m.handle(ev))
}

func (m *Machine) handle(ev Event) []Action {
	switch e := ev.(type) {
	case Startup:
		return m.startup()
	case Advert:
		return m.hear(e)
	case Shutdown:
		return m.shutdown()
	case Ready:
		m.mem.NotReady, m.mem.NotReadyReason = false, ""
	case NotReady:
		m.mem.NotReady, m.mem.NotReadyReason = true, e.Reason
		m.reconsider()
	case Faulted:
		return m.fault(e.Reason)
	case Hindered:
		return m.hinder(e.Reason)
	case Recover:
		return m.heal()
	case Lost:
		return m.lose(e.Reason)
	case Reconfigure:
		m.reconfigure(e.Params)
	}
	return nil
}

// expire runs the timer of the state if it is due. Afterwards Deadline is in the future.
func (m *Machine) expire(acts []Action) []Action {
	s := &m.mem
	due, ok := m.Deadline()
	if !ok || s.Now < due {
		return acts
	}
	if s.State != Master {
		if m.reprieve(s.Now - due) {
			return acts
		}
		cause, why := m.takeOverCause()
		return m.takeOver(acts, cause, why)
	}
	if m.outlasted() { // and no peer was heard, or we were not MASTER any more
		return append(acts, m.reclaim()...)
	}
	late := s.Now - s.AdvertDue
	// Fixed steps from the due time, so that adverts do not drift; those missed in a stall are not made up for.
	s.AdvertDue += (1 + late/m.p.AdvertInterval) * m.p.AdvertInterval
	return append(acts, m.advertise())
}

// reclaim takes the VIPs anew after a stall in which nobody else took them; the kernel may have dropped them meanwhile.
func (m *Machine) reclaim() []Action {
	m.mem.AdvertDue = m.mem.Now + m.p.AdvertInterval
	return []Action{m.advertise(), Acquire{Cause: CauseStalled}}
}

// reprieve gives a BACKUP that finds its timer run out long ago time for one advert. A process that is stopped finds
// what it missed on its socket; a machine that was stopped has missed it for good, and what it hears next decides.
func (m *Machine) reprieve(late time.Duration) bool {
	s := &m.mem
	if s.Reprieved || late < (downAdverts-1)*s.MasterInterval {
		return false
	}
	s.Reprieved = true
	s.DownFrom += late + s.MasterInterval + SkewTime(m.p.Version, m.p.Priority, s.MasterInterval)
	return true
}

const (
	// lostByStall is how soon after a stall a lapsed lease is put down to it, and how long that must have been. No lease is
	// as short as that.
	lostByStall = time.Second
	// A director that cannot hold its VIPs would take them from one that can, again and again. After the first loss it
	// preempts nobody for barredLeast, after each further one for twice as long; losses further apart than forgotten are
	// each the first. A VIP that nobody holds it takes all the same.
	barredLeast = 10 * time.Second
	barredMost  = 5 * time.Minute
	forgotten   = 3 * barredMost
)

func (m *Machine) lose(reason string) []Action {
	s := &m.mem
	switch {
	case s.State != Master:
		return nil
	case s.Stood && s.StoodFor >= lostByStall && s.Now-s.StoodUntil < lostByStall:
		return m.reclaim()
	}
	if s.Losses > 0 && s.Now-s.LostAt >= forgotten {
		s.Losses = 0
	}
	s.LostAt, s.BarredUntil = s.Now, s.Now+m.barredFor()
	s.Losses++
	return m.stepBack(ground{Kind: lost, Text: reason}, CauseAlone, m.p.AdvertInterval)
}

// barredFor is how long a loss of the VIPs keeps this director from preempting.
func (m *Machine) barredFor() time.Duration {
	return min(barredLeast<<min(m.mem.Losses, 10), barredMost)
}

// startup follows RFC 9568 6.4.1.
func (m *Machine) startup() []Action {
	s := &m.mem
	switch {
	case s.State != Init:
		return nil
	case s.Faulted:
		return []Action{m.enter(Fault, ground{Kind: faulted, Text: s.FaultReason})}
	case s.Hindered != "":
		m.listen(m.p.AdvertInterval, CauseAlone)
		return []Action{m.enter(Fault, ground{Kind: faulted, Text: s.Hindered})}
	case m.p.Priority == PriorityOwner && !s.NotReady:
		return m.takeOver(nil, CauseOwner, ground{Kind: owner})
	}
	m.listen(m.p.AdvertInterval, CauseAlone)
	return []Action{m.enter(Backup, ground{Kind: listening, For: m.MasterDownInterval()})}
}

func (m *Machine) shutdown() []Action {
	if m.mem.State == Init {
		return nil
	}
	acts := m.resign()
	m.mem.Heard, m.mem.HeardPriority = netip.Addr{}, 0
	return append(acts, m.enter(Init, ground{Kind: stopped}))
}

func (m *Machine) fault(reason string) []Action {
	s := &m.mem
	s.Faulted, s.FaultReason = true, reason
	switch s.State {
	case Init:
		return nil
	case Fault:
		s.Ground.Text = reason
		return nil
	}
	acts := m.resign()
	if s.State == Master { // whom we heard before we served does not serve now
		s.Heard, s.HeardPriority = netip.Addr{}, 0
	}
	return append(acts, m.enter(Fault, ground{Kind: faulted, Text: reason}))
}

func (m *Machine) heal() []Action {
	s := &m.mem
	reason := s.FaultReason
	was := s.Faulted
	s.Faulted, s.FaultReason = false, ""
	if s.State != Fault || !was {
		return nil
	}
	m.listen(m.p.AdvertInterval, CauseAlone)
	if s.Hindered != "" {
		s.Ground.Text = s.Hindered
		return nil
	}
	return []Action{m.enter(Backup, ground{Kind: recovered, Text: reason})}
}

func (m *Machine) hinder(reason string) []Action {
	s := &m.mem
	before := s.Hindered
	s.Hindered = reason
	switch {
	case s.State == Init || s.Faulted:
		return nil
	case reason == "" && s.State == Fault:
		m.listen(m.p.AdvertInterval, CauseAlone)
		return []Action{m.enter(Backup, ground{Kind: recovered, Text: before})}
	case reason == "":
		return nil
	case s.State == Fault:
		s.Ground.Text = reason
		return nil
	case s.State == Master && before != "": // the VIPs were offered, and nobody took them
		return nil
	}
	return m.giveWay(reason)
}

// giveWay leaves the VIPs to whoever lives; a BACKUP keeps the time that it gives to a MASTER.
func (m *Machine) giveWay(reason string) []Action {
	s := &m.mem
	acts := m.resign()
	if s.State == Master {
		s.Heard, s.HeardPriority = netip.Addr{}, 0
		m.listen(m.p.AdvertInterval, CauseAlone)
	}
	m.reconsider()
	return append(acts, m.enter(Fault, ground{Kind: faulted, Text: reason}))
}

// reconfigure keeps state and reason. A BACKUP's timer moves with the priority; a MASTER's next advert never comes
// later than peers expect by what they know, and tells them what is new.
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

// resign tells a MASTER's peers that it stops, then gives the VIPs up. In other states there is nothing to do.
func (m *Machine) resign() []Action {
	if m.mem.State != Master {
		return nil
	}
	return []Action{SendAdvert{Priority: PriorityResign}, Release{}}
}

// takeOver makes a MASTER: RFC 9568 6.4.2. The advert goes first, so that a peer that was about to do the
// same hears it as early as can be.
func (m *Machine) takeOver(acts []Action, cause Cause, why ground) []Action {
	s := &m.mem
	s.MasterInterval = m.p.AdvertInterval
	s.AdvertDue = s.Now + m.p.AdvertInterval
	return append(acts, m.advertise(), Acquire{Cause: cause}, m.enter(Master, why))
}

// stepBack makes a BACKUP of a MASTER without a word.
func (m *Machine) stepBack(why ground, cause Cause, masterInterval time.Duration) []Action {
	m.listen(masterInterval, cause)
	return []Action{Release{}, m.enter(Backup, why)}
}

// listen starts a full master-down timer.
func (m *Machine) listen(masterInterval time.Duration, cause Cause) {
	s := &m.mem
	s.MasterInterval, s.DownFrom, s.Resigned, s.Cause, s.Lower = masterInterval, s.Now, false, cause, false
	s.Reprieved = false
}

func (m *Machine) advertise() Action { return SendAdvert{Priority: m.p.Priority} }

// enter is the only place where the state changes.
func (m *Machine) enter(to State, why ground) Action {
	s := &m.mem
	from := s.State
	s.State, s.Since, s.Ground = to, s.Now, why
	return Transition{From: from, To: to, Reason: m.Reason()}
}
