package bfd

import "time"

// slowInterval is the least DesiredMinTxInterval of a session that is not Up (RFC 5880 section 6.8.3).
const slowInterval = time.Second

// Params is the configuration of a session.
type Params struct {
	// Discriminator identifies the session on this host. It is not 0, and differs from that of every other session of
	// this host; it should be random.
	Discriminator uint32
	// MinTx is the interval at which this host wants to send while the session is Up, MinRx the least at which it is
	// able to receive. The neighbour may want longer ones. From 1 microsecond.
	MinTx, MinRx time.Duration
	// Multiplier is how many of our packets the neighbour must miss to declare the session down, from 1.
	Multiplier uint8
	// Passive: send nothing until the neighbour is heard (RFC 5880 section 6.1).
	Passive bool
}

// Session is one session with one neighbour. It is not safe for concurrent use: one goroutine owns it. A copy is an
// independent snapshot. Times are on the caller's clock. The comments name the state variables of RFC 5880 section
// 6.8.1.
type Session struct {
	p Params

	now    time.Duration // of the last Step
	state  State         // bfd.SessionState
	since  time.Duration // of state
	diag   Diag          // bfd.LocalDiag
	everUp bool
	failed bool

	remote remote
	heard  time.Duration // when the last packet was received, if remote.discriminator is known
	// extended is added to the detection time, once after each packet: this host stalled.
	extended time.Duration

	sent   bool          // anything yet,
	sentAt time.Duration // the last periodic packet at this time;
	jitter float64       // the next one follows after this fraction of the interval

	polling   bool // a Poll Sequence is in progress (section 6.5);
	pollAgain bool // another one must follow, because the parameters changed in the meantime
	// heldTx and heldRx are the intervals that stay in effect until the Poll Sequence ends; 0: none (section 6.8.3).
	heldTx, heldRx time.Duration
}

// remote is what the neighbour's last packet said.
type remote struct {
	discriminator uint32 // bfd.RemoteDiscr; 0: the neighbour has not been heard for a detection time
	state         State  // bfd.RemoteSessionState
	diag          Diag
	minTx         time.Duration
	minRx         time.Duration // bfd.RemoteMinRxInterval
	multiplier    uint8
	demand        bool // bfd.RemoteDemandMode
}

// NewSession returns a session in state Down. Its first Step sends a packet, unless it is passive. Zero values in p are
// replaced: intervals by 1 s, the multiplier and the discriminator by 1.
func NewSession(p Params) *Session {
	s := &Session{p: p.withDefaults(), state: Down, jitter: 1}
	s.remote.state, s.remote.minRx = Down, time.Microsecond
	return s
}

func (p Params) withDefaults() Params {
	orSecond := func(d time.Duration) time.Duration {
		if d < time.Microsecond {
			return time.Second
		}
		return d.Truncate(time.Microsecond)
	}
	p.MinTx, p.MinRx = orSecond(p.MinTx), orSecond(p.MinRx)
	p.Multiplier = max(p.Multiplier, 1)
	p.Discriminator = max(p.Discriminator, 1)
	return p
}

// Refuses returns why the session would discard a packet that Parse accepted; DropNone if it would not.
func (s *Session) Refuses(p Packet) DropReason {
	switch {
	case p.YourDiscriminator != 0 && p.YourDiscriminator != s.p.Discriminator:
		return DropDiscriminator
	case s.state == AdminDown:
		return DropAdminDown
	}
	return DropNone
}

// Step processes ev at now and returns the actions to carry out, nil for none. now is monotonic time since any epoch; a
// now earlier than that of a previous Step counts as that one. random is a random number from 0 to 1, for the jitter of
// the next transmission. Packets are processed before timers.
func (s *Session) Step(now time.Duration, random float64, ev Event) []Action {
	s.now = max(now, s.now)
	before := s.state
	var acts []Action
	final := false
	switch e := ev.(type) {
	case Received:
		acts, final = s.receive(e.Packet)
	case Disable:
		acts = s.enter(nil, AdminDown, DiagAdminDown)
	case Enable:
		if s.state == AdminDown {
			acts = s.enter(nil, Down, DiagNone)
		}
	case Reconfigure:
		s.reconfigure(e.Params)
	}
	acts = s.detect(acts)
	return s.transmit(acts, random, s.state != before, final)
}

// receive follows RFC 5880 section 6.8.6. final says that the packet must be answered with the Final bit.
func (s *Session) receive(p Packet) (acts []Action, final bool) {
	if s.Refuses(p) != DropNone {
		return nil, false
	}
	s.remote = remote{
		discriminator: p.MyDiscriminator, state: p.State, diag: p.Diag, minTx: p.DesiredMinTx, minRx: p.RequiredMinRx,
		multiplier: p.Multiplier, demand: p.Demand,
	}
	s.heard, s.extended = s.now, 0
	s.failed = s.failed && p.State != AdminDown
	if p.Final && s.polling {
		s.endPoll()
	}
	switch {
	case p.State == AdminDown:
		if s.state != Down {
			acts = s.enter(acts, Down, DiagNeighbourDown)
		}
	case s.state == Down && p.State == Down:
		acts = s.enter(acts, Init, DiagNone)
	case s.state == Down && p.State == Init, s.state == Init && p.State >= Init:
		acts = s.enter(acts, Up, DiagNone)
	case s.state == Up && p.State == Down:
		acts = s.enter(acts, Down, DiagNeighbourDown)
	}
	return acts, p.Poll
}

// enter is the only place where the state changes. A session that comes up announces its shorter interval with a Poll
// Sequence; one that goes down has its slow interval at once.
func (s *Session) enter(acts []Action, to State, why Diag) []Action {
	from, lasted := s.state, s.now-s.since
	if from == to {
		return acts
	}
	s.state, s.since, s.diag = to, s.now, why
	s.polling, s.pollAgain, s.heldTx, s.heldRx = to == Up, false, 0, 0
	s.everUp = s.everUp || to == Up
	s.failed = to != Up && (s.failed || from == Up && to == Down && s.remote.state != AdminDown)
	return append(acts, Change{From: from, To: to, Diag: why, Remote: s.remote.state, Lasted: lasted})
}

// detect ends a session whose neighbour has been silent for the detection time (RFC 5880 section 6.8.4). A detection
// that is late by half of that time is no evidence: this host stalled, and what arrived in the meantime may be lost. It
// gets the detection time once more.
func (s *Session) detect(acts []Action) []Action {
	due, armed := s.detectAt()
	if !armed || s.now < due {
		return acts
	}
	if within := s.DetectionTime(); s.extended == 0 && s.now-due >= within/2 && s.state != Down {
		s.extended = s.now - s.heard
		return acts
	}
	s.remote.discriminator = 0 // section 6.8.1
	if s.state != Init && s.state != Up {
		return acts
	}
	acts = s.enter(acts, Down, DiagDetection)
	change := acts[len(acts)-1].(Change)
	change.Silent = s.now - s.heard
	acts[len(acts)-1] = change
	return acts
}

// reconfigure follows RFC 5880 section 6.8.3: a longer transmission interval and a shorter detection time take effect
// when the neighbour has confirmed that it knows them.
func (s *Session) reconfigure(p Params) {
	old := s.p
	p.Discriminator = old.Discriminator
	s.p = p.withDefaults()
	if s.state != Up || s.p.MinTx == old.MinTx && s.p.MinRx == old.MinRx {
		return
	}
	if tx := s.desiredTx(old.MinTx, s.heldTx); s.p.MinTx > tx {
		s.heldTx = tx
	}
	if rx := max(old.MinRx, s.heldRx); s.p.MinRx < rx {
		s.heldRx = rx
	}
	s.polling, s.pollAgain = true, s.polling
}

func (s *Session) endPoll() {
	if s.pollAgain {
		s.pollAgain = false
		return
	}
	s.polling, s.heldTx, s.heldRx = false, 0, 0
}
