package health

import (
	"fmt"
	"time"
)

// State is the state of one check. It is immutable: Step returns the next one. The zero value has a rise and fall of 1
// and no result.
type State struct {
	rise, fall    int
	passes, fails int // in a row, counted only while they could change the state; Unknown touches neither

	last     Result // the latest result, which came at lastAt
	lastAt   time.Time
	lastGood time.Time
	since    time.Time // of known, up and full
	cause    Code      // while down: that of the latest Bad result

	known, up, full bool
	early           bool   // down by early checks; see StepEarly
	first           bool   // down by the first result
	served          bool   // in the table at the director's start; see Served
	weighted        bool   // the latest Good result gave weight
	settle          uint8  // while down after early checks: how many successes bring it back, if that is more than rise; else 0
	weight          uint16 // see weighted
	unrouted        int32  // NoNetwork results in a row, at most fall
}

// New returns the state of a check without any result. Rise and fall are the numbers of consecutive results that bring
// a server back and take it out; values below 1 mean 1.
func New(rise, fall int) State {
	return State{rise: max(rise, 1), fall: max(fall, 1)}
}

// Resume returns the state of a check that replaces another one of the same server, for example when a reload changes
// its interval or its password. What was known is kept until results contradict it, because merely editing a check must
// not take a server out. The counters start at 0.
func Resume(rise, fall int, from State) State {
	s := from
	s.rise, s.fall = max(rise, 1), max(fall, 1)
	s.passes, s.fails, s.first, s.unrouted, s.early, s.settle = 0, 0, false, 0, false, 0
	if from.withoutNetwork() {
		s.unrouted = int32(s.fall)
	}
	return s
}

// Unchecked returns the state of the first check of a server that has been up since since because it had no check: it
// stays up until results contradict that.
func Unchecked(rise, fall int, since time.Time) State {
	s := New(rise, fall)
	s.known, s.up, s.since = true, true, since
	s.last, s.lastAt = Result{Class: Good, Code: OK, Cause: "not checked yet, and up without a check before"}, since
	return s
}

// Served returns the state of a check whose server is in the table that this director found at its start: nothing is
// known about it, but it takes fall bad results, and not only the first, to take it out.
func (s State) Served() State {
	s.served = true
	return s
}

// Undecided reports whether there were bad results, but too few to decide; see Served.
func (s State) Undecided() bool { return !s.known && s.fails > 0 }

// Known reports whether a result has decided anything yet.
func (s State) Known() bool { return s.known }

// Last returns the latest result and when it came; zero values before the first one.
func (s State) Last() (r Result, at time.Time) { return s.last, s.lastAt }

// Step processes the result r received at the time at, and reports whether known, up or full changed.
//
// The first result that is not Unknown decides at once: a server that is dead when the director starts gets no
// connections, and a live one need not wait. From then on, and from the start for a server that was Served, fall
// consecutive bad results take it out and rise good ones bring it back.
//
// An Unknown result changes neither state nor counters: it is no evidence, so it must not add up to an outage, and it
// must not hide one either, as a reset of the failure count would.
//
// A Full result shows that the server is alive, so it ends a series of failures and counts towards rise. It marks the
// server as full at once, because every further connection there would fail. The mark is removed after rise consecutive
// good results: at the limit a slot becomes free for a moment whenever a client disconnects, and the check itself may
// take it.
//
// A server that reports that it is shutting down is down at once: no other evidence is more reliable.
func (s State) Step(at time.Time, r Result) (next State, changed bool) {
	before := s
	s.last, s.lastAt = r, at
	switch r.Code {
	case NoNetwork:
		s.unrouted = min(s.unrouted+1, int32(s.fall))
	case Local, Secret: // no evidence about the network
	default:
		s.unrouted = 0
	}
	switch r.Class {
	case Good:
		s = s.pass(false)
		s.lastGood, s.weighted, s.weight = at, r.Weighted, r.Weight
	case Full:
		s = s.pass(true)
	case Bad:
		s = s.fail(r)
	}
	changed = s.known != before.known || s.up != before.up || s.full != before.full
	if changed {
		s.since = at
	}
	return s, changed
}

func (s State) pass(full bool) State {
	s.fails, s.first = 0, false
	switch {
	case !s.known:
		s.known, s.up, s.full = true, true, full
	case !s.up:
		s.passes++
		if s.passes >= s.needed() {
			s.up, s.full, s.passes, s.early, s.settle = true, full, 0, false, 0
		}
	case full:
		s.full, s.passes = true, 0
	case s.full:
		s.passes++
		if s.passes >= s.rise {
			s.full, s.passes = false, 0
		}
	}
	return s
}

func (s State) fail(r Result) State {
	s.passes = 0
	s.cause = r.Code
	s.fails = min(s.fails+1, s.fall)
	s.first = !s.known && !s.served
	if s.first || s.fails >= s.fall || r.Code == Shutdown {
		s.known, s.up, s.full = true, false, false
	}
	return s
}

// Doubtful reports whether it is up, but with a failure in its latest conclusive result.
func (s State) Doubtful() bool { return s.known && s.up && s.fails > 0 }

// withoutNetwork reports whether the director had no way to the server in fall results in a row.
func (s State) withoutNetwork() bool { return s.unrouted > 0 && int(s.unrouted) >= s.fall }

// verdict renders the state of this check alone.
func (s State) verdict() Verdict {
	v := Verdict{
		Known: s.known, Up: s.up, Full: s.full, Code: s.last.Code, Reason: s.reason(), Since: s.since, NoNetwork: s.withoutNetwork(),
		Weighted: s.weighted && s.up, Weight: s.weight,
	}
	if !v.Weighted {
		v.Weight = 0
	}
	if s.known && !s.up && (s.last.Class == Good || s.last.Class == Full) {
		v.Code = s.cause // a server that is down is never "ok"
	}
	return v
}

func (s State) reason() string {
	cause := s.last.Cause
	switch {
	case !s.known && s.last == Result{}:
		return "unknown: not checked yet"
	case s.Undecided() && s.last.Class == Bad:
		return fmt.Sprintf("unknown: %s (%d of %d failures; it was in the table when this director started)", cause, s.fails, s.fall)
	case !s.known:
		return "unknown: " + cause
	case s.last.Class == Unknown:
		return s.word() + ": kept: " + cause + s.goodAgo()
	case !s.up && s.last.Class != Bad:
		return fmt.Sprintf("down: %s (%d of %d successes)", cause, s.passes, s.needed())
	case !s.up && s.first:
		return "down: " + cause + " (first check)"
	case !s.up && s.fails < s.fall: // it reported its shutdown, or a single success interrupted the failures
		return "down: " + cause
	case !s.up:
		return fmt.Sprintf("down: %s (%d of %d)%s", cause, s.fails, s.fall, s.how())
	case s.last.Class == Bad:
		return fmt.Sprintf("%s: %s (%d of %d failures)", s.word(), cause, s.fails, s.fall)
	case s.full && s.last.Class == Good:
		return fmt.Sprintf("up: full: %s (%d of %d successes)", cause, s.passes, s.rise)
	case s.full:
		return "up: full: " + cause
	default:
		return "up: " + cause
	}
}

func (s State) word() string {
	switch {
	case !s.up:
		return "down"
	case s.full:
		return "up: full"
	default:
		return "up"
	}
}

func (s State) goodAgo() string {
	if s.lastGood.IsZero() {
		return " (never good so far)"
	}
	ago := s.lastAt.Sub(s.lastGood)
	if ago >= time.Second {
		ago = ago.Round(time.Second)
	} else {
		ago = ago.Round(time.Millisecond)
	}
	return fmt.Sprintf(" (last good %v ago)", ago)
}
