package vrrp

import (
	"strconv"
	"time"
)

// The events of a planned handover: make before break. A MASTER that hands over keeps its VIPs and advertises
// PriorityDegraded, so that a BACKUP preempts it as it would preempt a degraded one. When that one is MASTER, this director is
// BACKUP, and still keeps the VIPs, but does not defend them, until the successor has announced each of them, for
// RetainFor at most. So the clients are answered all the time.
type (
	// HandOver begins a handover of a MASTER. If nobody is MASTER in handOverFor, the handover ends and it stays MASTER, or
	// resigns if Resign. After a handover it preempts nobody, unless that one is degraded or hands over itself, until
	// TakeBack, or until it has been MASTER again because nobody else was. In other states it does nothing.
	HandOver struct {
		Reason string
		// Resign: this director is going to stop, so that any other one is better.
		Resign bool
	}

	// TakeBack ends a handover, and what it leaves behind.
	TakeBack struct{}

	// Succeeded says that the successor has announced all VIPs. It follows a Retain.
	Succeeded struct{}
)

// Retain says that a better director is MASTER and adds the VIPs now: it preempts this one, or takes over from it in a handover;
// or that one is about to, because this one has resigned at the end of a handover. They stay until Release, at most for For from
// now, but are not defended, announced, repaired or renewed.
type Retain struct{ For time.Duration }

// RetainFor is how long a director keeps VIPs for which another one is MASTER. After a resignation that time begins when the
// other one must have taken over.
const RetainFor = time.Second

func (HandOver) event()  {}
func (TakeBack) event()  {}
func (Succeeded) event() {}
func (Retain) action()   {}

func (e HandOver) String() string {
	if e.Resign {
		return "hand_over resign " + strconv.Quote(e.Reason)
	}
	return "hand_over " + strconv.Quote(e.Reason)
}
func (TakeBack) String() string  { return "take_back" }
func (Succeeded) String() string { return "succeeded" }
func (a Retain) String() string  { return "retain for=" + a.For.String() }

// handover is what a machine remembers of a handover.
type handover struct {
	// Begun: this MASTER hands over from From on, until Until; Why is the reason. Resign: it resigns then; Resigned: it has.
	// Yields: it resigns then, because it has become degraded meanwhile.
	Begun    bool          `json:"begun,omitempty"`
	From     time.Duration `json:"from,omitempty"`
	Until    time.Duration `json:"until,omitempty"`
	Why      string        `json:"why,omitempty"`
	Resign   bool          `json:"resign,omitempty"`
	Resigned bool          `json:"resigned,omitempty"`
	Yields   bool          `json:"yields,omitempty"`
	// Retains: the VIPs are kept until RetainUntil, although another director is MASTER.
	Retains     bool          `json:"retains,omitempty"`
	RetainUntil time.Duration `json:"retain_until,omitempty"`
	// Out: this director has handed over, at Since, and preempts nobody.
	Out   bool          `json:"out,omitempty"`
	Since time.Duration `json:"since,omitempty"`
}

// handOverFor is how long a MASTER waits for a successor: longer than its peers need to find that they may preempt it, also
// those of version 2, whose skew is a second at most.
func (p Params) handOverFor() time.Duration {
	return time.Duration(p.DownAdverts+1)*p.AdvertInterval + time.Second
}

// HandOverWithin returns how long it takes at most from HandOver until it is known who is MASTER: the delay of a begin soon after
// another MASTER was heard, the handover, RetainFor, and a master-down interval.
func (p Params) HandOverWithin() time.Duration {
	p = p.withDefaults()
	return p.AdvertInterval + p.handOverFor() + RetainFor + MasterDownInterval(p.Version, PriorityDegraded, p.AdvertInterval, p.DownAdverts)
}

func (m *Machine) handOver(e HandOver) {
	s := &m.mem
	if s.State == Master && s.Handover.Begun && e.Resign { // a stop during a handover by command
		s.Handover.Resign, s.Handover.Why = true, e.Reason
	}
	if s.State != Master || s.Handover.Begun {
		return
	}
	from := max(s.Now, s.Since+m.p.AdvertInterval)
	if s.Rival {
		from = max(from, s.RivalAt+m.p.AdvertInterval)
	}
	s.Handover = handover{Begun: true, From: from, Until: from + m.p.handOverFor(), Why: e.Reason, Resign: e.Resign, Out: true, Since: s.Now}
	s.AdvertDue = min(s.AdvertDue, from) // the lower priority is advertised at once, unless it has stalled
}

// lowers reports whether this MASTER advertises the lower priority now. Not while an advert may be on its way of a MASTER that
// has just given way to this one: it would be taken for a successor.
func (m *Machine) lowers() bool { return m.mem.Handover.Begun && m.mem.Now >= m.mem.Handover.From }

func (m *Machine) takeBack() {
	s := &m.mem
	if s.Handover.Begun {
		s.AdvertDue = min(s.AdvertDue, s.Now)
	}
	s.Handover.Begun, s.Handover.Out = false, false
}

// unsucceeded resigns at the end of a handover for which no successor was found. The others take over after their skew, and this
// director keeps the VIPs until then. If none does, it takes over again.
func (m *Machine) unsucceeded() []Action {
	s := &m.mem
	acts := []Action{SendAdvert{Priority: PriorityResign}, m.retain(m.longestSkew() + RetainFor)}
	s.Handover.Resigned = true
	if s.Degraded != "" {
		return m.yield(acts)
	}
	m.listen(m.p.AdvertInterval, CauseAlone)
	s.DownFrom -= m.MasterDownInterval() - m.longestSkew() - m.skewTime()
	return append(acts, m.enter(Backup, stateReason{Kind: unsucceeded, For: s.Now - s.Handover.Since}))
}

// longestSkew returns how long others wait at most before they take over from a director that has resigned: less than an advert
// interval, or a second in version 2.
func (m *Machine) longestSkew() time.Duration {
	if m.p.Version == 2 {
		return time.Second
	}
	return m.p.AdvertInterval
}

// retain begins the time in which the VIPs are kept for a successor.
func (m *Machine) retain(within time.Duration) Action {
	m.mem.Handover.Retains, m.mem.Handover.RetainUntil = true, m.mem.Now+within
	return Retain{For: within}
}

// letGo ends the time in which the VIPs are kept for a successor, if they are.
func (m *Machine) letGo() []Action {
	if !m.mem.Handover.Retains {
		return nil
	}
	m.mem.Handover.Retains = false
	return []Action{Release{}}
}

// HandingOver reports whether a MASTER hands over.
func (m *Machine) HandingOver() bool { return m.mem.Handover.Begun }

// Retains reports whether a director that is not MASTER any more keeps the VIPs until its successor has announced them.
func (m *Machine) Retains() bool { return m.mem.Handover.Retains }

// HandedOver reports whether this director has handed over, or does so, and since when, on the clock of Step.
func (m *Machine) HandedOver() (since time.Duration, ok bool) {
	return m.mem.Handover.Since, m.mem.Handover.Out
}
