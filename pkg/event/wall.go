package event

import "time"

// stepped is how much the wall clock must differ from the monotonic clock to count as set. Smaller differences are the
// slow corrections of NTP, for which a displayed time is not changed.
const stepped = time.Second

// Wall returns the time of something that happened at a time of this process, as the wall clock of now shows it: if the
// clock was set in between, as at a boot without a clock battery, the time that it showed then would be meaningless. Both
// times must be of time.Now. The zero time stays zero.
func Wall(at, now time.Time) time.Time {
	if at.IsZero() {
		return at
	}
	return wall(at.Round(0), now.Sub(at), now.Round(0)) // Sub uses the monotonic clock, Round(0) drops it
}

// wall is Wall with the time that has passed by the monotonic clock.
func wall(at time.Time, passed time.Duration, now time.Time) time.Time {
	if difference := now.Sub(at) - passed; difference.Abs() <= stepped {
		return at
	}
	return now.Add(-passed).Round(stepped)
}
