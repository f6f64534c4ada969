package health

import (
	"fmt"
	"strings"
	"time"
)

// AtLeast is the verdict of a server or track with several checks, of which want must pass: up if they do, not known if they
// may, and full if without those that are full too few pass. The reason lists those that do not pass, or pass with a code.
// The code is that of one of those that do not pass, and while the server is up also of those that pass; one that needs an
// operator is preferred. want is 1 or more.
func AtLeast(want int, states []State) Verdict {
	all := All(states)
	if len(states) <= 1 {
		return all
	}
	up, sure, full, unknown := 0, 0, 0, 0
	var missing, passing []string
	v := Verdict{NoNetwork: all.NoNetwork}
	failing := OK   // the code of those that do not pass
	var kept []Code // other codes than OK of those that pass
	for _, s := range states {
		switch one := s.verdict(); {
		case one.Known && one.Up:
			up++
			if one.Full {
				full++
			}
			if !s.Doubtful() {
				sure++
			}
			passing = append(passing, s.last.Cause)
			if one.Code != OK {
				missing = append(missing, one.Reason)
				kept = append(kept, one.Code)
			}
		default:
			if !one.Known {
				unknown++
			}
			missing = append(missing, one.Reason)
			failing = heavier(failing, one.Code)
		}
	}
	v.Up = up >= want
	v.Full = v.Up && up-full < want
	v.Code = failing
	for _, code := range kept {
		if v.Full || v.Up && code != ServerFull { // a server that still gets connections is not full
			v.Code = heavier(v.Code, code)
		}
	}
	v.Weighted, v.Weight = weightOf(states)
	v.Known = v.Up || up+unknown < want
	v.Doubtful, v.Undecided = v.Up && sure < want, !v.Known && all.Undecided
	word := "unknown"
	switch {
	case v.Up:
		word = "up"
	case v.Known:
		word = "down"
	}
	v.Reason = fmt.Sprintf("%s: %d of %d pass, %d needed", word, up, len(states), want)
	if len(missing) > 0 {
		v.Reason += ": " + strings.Join(missing, "; ")
	} else {
		v.Reason += ": " + strings.Join(passing, "; ")
	}
	v.Since = changed(states)
	return v
}

// changed returns when one of several checks changed last.
func changed(states []State) time.Time {
	var at time.Time
	for _, s := range states {
		if s.since.After(at) {
			at = s.since
		}
	}
	return at
}
