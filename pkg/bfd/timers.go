package bfd

import "time"

// desiredTx is the interval in effect of the configured one and one that is held, 0 for none: the shorter.
func (s *Session) desiredTx(configured, held time.Duration) time.Duration {
	if held > 0 {
		return min(configured, held)
	}
	return configured
}

// desiredMinTx is bfd.DesiredMinTxInterval, as advertised: at least a second while the session is not Up (RFC 5880
// section 6.8.3).
func (s *Session) desiredMinTx() time.Duration {
	if s.state != Up {
		return max(s.p.MinTx, slowInterval)
	}
	return s.p.MinTx
}

// TxInterval returns the interval at which this session sends, before jitter (RFC 5880 section 6.8.2).
func (s *Session) TxInterval() time.Duration {
	return max(s.desiredTx(s.desiredMinTx(), s.heldTx), s.remote.minRx)
}

// DetectionTime returns how long the neighbour may be silent (RFC 5880 section 6.8.4); 0 if it has not been heard yet.
func (s *Session) DetectionTime() time.Duration {
	return time.Duration(s.remote.multiplier) * max(s.p.MinRx, s.heldRx, s.remote.minTx)
}

// detectAt returns when the silence of the neighbour has lasted for the detection time; armed is false if the neighbour
// is not heard anyway.
func (s *Session) detectAt() (at time.Duration, armed bool) {
	if s.remote.discriminator == 0 || s.state == AdminDown {
		return 0, false
	}
	return s.heard + s.DetectionTime() + s.extended, true
}

// sendAt returns when the next periodic packet is due.
func (s *Session) sendAt() time.Duration {
	if !s.sent {
		return 0
	}
	return s.sentAt + max(time.Duration(s.jitter*float64(s.TxInterval())), 1)
}

// periodic reports whether periodic packets may be sent (RFC 5880 section 6.8.7).
func (s *Session) periodic() bool {
	switch {
	case s.p.Passive && s.remote.discriminator == 0, s.remote.minRx == 0:
		return false
	case s.remote.demand && s.state == Up && s.remote.state == Up && !s.polling:
		return false
	}
	return true
}

// jitterOf returns the fraction of the interval after which the next packet is sent: 75 to 100 %, with a multiplier of 1
// at most 90 % (RFC 5880 section 6.8.7).
func (s *Session) jitterOf(random float64) float64 {
	span := 0.25
	if s.p.Multiplier == 1 {
		span = 0.15
	}
	return 0.75 + span*min(max(random, 0), 1)
}

// transmit appends the packets that are due: an answer to a Poll at once and outside the schedule; a new state at once,
// so that the neighbour learns it before the next periodic packet.
func (s *Session) transmit(acts []Action, random float64, changed, final bool) []Action {
	if periodic := s.periodic(); periodic && (changed || s.now >= s.sendAt()) {
		s.sent, s.sentAt, s.jitter = true, s.now, s.jitterOf(random)
		if !final {
			return append(acts, Send{s.packet(false)})
		}
	}
	if final {
		acts = append(acts, Send{s.packet(true)})
	}
	return acts
}

// packet returns a packet with the present contents (RFC 5880 section 6.8.7).
func (s *Session) packet(final bool) Packet {
	return Packet{
		Diag: s.diag, State: s.state, Poll: s.polling && !final, Final: final, Multiplier: s.p.Multiplier,
		MyDiscriminator: s.p.Discriminator, YourDiscriminator: s.remote.discriminator,
		DesiredMinTx: s.desiredMinTx(), RequiredMinRx: s.p.MinRx,
	}
}

// Deadline returns when Step needs the next Tick; after a Step it is later than that Step's time. ok is false if no
// timer runs.
func (s *Session) Deadline() (at time.Duration, ok bool) {
	if due, armed := s.detectAt(); armed {
		at, ok = due, true
	}
	if s.periodic() {
		if due := s.sendAt(); !ok || due < at {
			at, ok = due, true
		}
	}
	return at, ok
}

// DrainFirst reports whether a Step at now could find that the neighbour is silent. Then every packet that is queued on
// the socket must be processed first.
func (s *Session) DrainFirst(now time.Duration) bool {
	due, armed := s.detectAt()
	return armed && now >= due
}

// State returns the state, Since when it was entered on the clock of Step, and Diag why.
func (s *Session) State() State { return s.state }

// Since returns when the state was entered, on the clock of Step; 0 before the first change.
func (s *Session) Since() time.Duration { return s.since }

// Diag returns why the state was entered.
func (s *Session) Diag() Diag { return s.diag }

// EverUp reports whether the session has been Up since NewSession.
func (s *Session) EverUp() bool { return s.everUp }

// Failed reports whether the path to the neighbour has failed: the session was Up, and is not up again. It is not while
// the neighbour has switched BFD off, nor before the session was up for the first time: that tells nothing.
func (s *Session) Failed() bool { return s.failed }

// Remote returns the state and the diagnostic in the neighbour's last packet. heard is false if nothing has been
// received for a detection time.
func (s *Session) Remote() (state State, diag Diag, heard bool) {
	return s.remote.state, s.remote.diag, s.remote.discriminator != 0
}

// Params returns the parameters in use.
func (s *Session) Params() Params { return s.p }
