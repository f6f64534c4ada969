package health

import (
	"math"
	"time"
)

// Said reports whether a failure is what the server itself says, and what it says when its process ends: it refuses, closes or
// resets the connection, or reports that it shuts down. Silence, and what other hosts say about the way to it, may pass with the next
// packet; an answer with an error comes from a process that lives.
func (r Result) Said() bool {
	return r.Class == Bad && (r.Code == Refused || r.Code == Reset || r.Code == Shutdown)
}

// StepEarly processes the result of a check that was made ahead of its time, because the server ended the connection that is
// kept to it, and reports whether it counts: a failure does only if the server itself said it, and nothing else does while the
// server is down, because its successes are to span some time. A server that early checks take out comes back after settle
// successes in a row, or rise if that is more: it may die again at once, and nothing else would slow that down.
func (s State) StepEarly(at time.Time, r Result, settle int) (next State, counts bool) {
	if !r.Said() && (r.Class == Bad || !s.Up()) {
		return s, false
	}
	wasUp := s.known && s.up
	s, _ = s.Step(at, r)
	if wasUp && !s.up {
		s.early, s.settle = true, uint8(min(settle, math.MaxUint8))
	}
	return s, true
}

// Interrupted returns the state after the server has ended the connection that is kept to it and has then failed a check: while
// it is down, its successes in a row begin again, and it needs settle, or rise if that is more.
func (s State) Interrupted(settle int) State {
	if s.known && !s.up {
		s.passes, s.settle = 0, uint8(min(settle, math.MaxUint8))
	}
	return s
}

// Up reports whether results have decided that the server is up.
func (s State) Up() bool { return s.known && s.up }

// needed is how many successes in a row bring the server back.
func (s State) needed() int { return max(s.rise, int(s.settle)) }

// how says that the failures came in no time.
func (s State) how() string {
	if s.early {
		return "; checked at once, because the server had ended the kept connection"
	}
	return ""
}
