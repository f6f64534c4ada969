package health

import (
	"strings"
	"time"
)

// Verdict is the combined result of the checks of one real server or track. The zero value is "not known".
type Verdict struct {
	Known  bool      // false: no check has decided yet; the configuration's initial state applies
	Up     bool      // meaningful only when Known
	Full   bool      // up, but gets no new connections while another server is up
	Code   Code      // of the check that decides; "" before the first result
	Reason string    // a sentence: "down: mysql: dial 10.77.0.12:3306: connection refused (2 of 2)"
	Since  time.Time // when Known, Up and Full last changed; zero before the first decision
	// NoNetwork: fall results of a check in a row say that this director has no way to the server. It is no evidence about
	// the server, but about this director.
	NoNetwork bool
	// Doubtful: it is up, but what was seen last would make it down if it lasts.
	Doubtful bool
	// Value is the number in a tracked file, -254 to 254, of which 0 is up; 0 for anything else.
	Value int16
	// Weighted: checks say which weight it is to have while it is up: Weight, the smallest one of several.
	Weighted bool
	Weight   uint16
	// Undecided: not Known, because there were bad results, but too few; see State.Served.
	Undecided bool
}

// Same reports whether two verdicts require the same action. Reason and Since are for display and change more often.
func (v Verdict) Same(w Verdict) bool {
	return v.Known == w.Known && v.Up == w.Up && v.Full == w.Full && v.Code == w.Code && v.NoNetwork == w.NoNetwork && v.Doubtful == w.Doubtful && v.Value == w.Value && v.Weighted == w.Weighted && v.Weight == w.Weight && v.Undecided == w.Undecided
}

// String returns the reason.
func (v Verdict) String() string { return v.Reason }

// All is the verdict of a real server with several checks: all must pass.
//
// If a check is down, the server is down. Otherwise, if a check is not known, the server is not known. Otherwise it is
// up, and full if a check is full. Code and reason are those of a deciding check: of one whose code needs an operator, so
// that a failure of another check does not hide it, otherwise of the first one in the order of states. A server without
// checks is up.
func All(states []State) Verdict {
	if len(states) == 0 {
		return Verdict{Known: true, Up: true, Code: OK, Reason: "up: no check is configured"}
	}
	decides := states[0].verdict()
	for _, s := range states[1:] {
		v := s.verdict()
		if g := gravity(v) - gravity(decides); g > 0 || g == 0 && v.Code.outweighs(decides.Code) {
			decides = v
		}
	}
	if decides.Known && decides.Up && decides.Code == OK && !decides.Full {
		decides.Reason = "up: " + joinCauses(states)
	}
	for _, s := range states {
		decides.NoNetwork = decides.NoNetwork || s.withoutNetwork()
		decides.Doubtful = decides.Doubtful || s.Doubtful()
		decides.Undecided = decides.Undecided || s.Undecided()
	}
	decides.Doubtful = decides.Doubtful && decides.Known && decides.Up
	decides.Undecided = decides.Undecided && !decides.Known
	decides.Weighted, decides.Weight = weightOf(states)
	decides.Since = since(states, decides)
	return decides
}

// weightOf returns the smallest of the weights that checks give.
func weightOf(states []State) (weighted bool, weight uint16) {
	for _, s := range states {
		if v := s.verdict(); v.Weighted && (!weighted || v.Weight < weight) {
			weighted, weight = true, v.Weight
		}
	}
	return weighted, weight
}

// gravity orders verdicts by precedence.
func gravity(v Verdict) int {
	switch {
	case v.Known && !v.Up:
		return 4
	case !v.Known:
		return 3
	case v.Full:
		return 2
	case v.Code != OK: // up, but with a first failure or a check that could not be made
		return 1
	default:
		return 0
	}
}

// since returns when states together first gave the verdict v: a server went down with its first check that failed, and
// came up with its last check that passed.
func since(states []State, v Verdict) time.Time {
	var at time.Time
	for _, s := range states {
		w := s.verdict()
		switch {
		case w.Known != v.Known || w.Up != v.Up:
		case v.Known && !v.Up, v.Full && w.Full:
			if at.IsZero() || w.Since.Before(at) {
				at = w.Since
			}
		case v.Full:
		case w.Since.After(at):
			at = w.Since
		}
	}
	return at
}

func joinCauses(states []State) string {
	causes := make([]string, len(states))
	for i, s := range states {
		causes[i] = s.last.Cause
	}
	return strings.Join(causes, "; ")
}
