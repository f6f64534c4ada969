package health

import (
	"fmt"
	"strings"
	"time"
)

// AtLeast is the verdict of a server or track with several checks, of which want must pass: up if they do, not known if they
// may, and full if without those that are full too few pass. The reason lists those that do not pass. want is 1 or more.
func AtLeast(want int, states []State) Verdict {
	all := All(states)
	if len(states) <= 1 {
		return all
	}
	up, sure, full, unknown := 0, 0, 0, 0
	var missing, passing []string
	v := Verdict{Code: OK, NoNetwork: all.NoNetwork}
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
			}
		default:
			if !one.Known {
				unknown++
			}
			missing = append(missing, one.Reason)
			if v.Code == OK {
				v.Code = one.Code
			}
		}
	}
	v.Up = up >= want
	v.Full = v.Up && up-full < want
	v.Weighted, v.Weight = weightOf(states)
	v.Known = v.Up || up+unknown < want
	v.Doubtful = v.Up && sure < want
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
