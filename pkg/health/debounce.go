package health

import "time"

// Debounce delays the changes of something that is up or down. It is immutable: Step returns the next one. The zero value
// delays nothing and has no state.
type Debounce struct {
	up, down time.Duration

	known, is bool
	pending   time.Time // since when it has been different; zero: it is not
}

// NewDebounce returns a Debounce without a state, for which a change counts after it has lasted for up or down.
func NewDebounce(up, down time.Duration) Debounce { return Debounce{up: up, down: down} }

// With returns d with other delays and the same state.
func (d Debounce) With(up, down time.Duration) Debounce {
	d.up, d.down = up, down
	return d
}

// Step processes the state at a time. The first one counts at once.
func (d Debounce) Step(now time.Time, up bool) Debounce {
	switch {
	case !d.known:
		d.known, d.is = true, up
	case up == d.is:
		d.pending = time.Time{}
	case d.pending.IsZero():
		d.pending = now
	}
	if !d.pending.IsZero() && now.Sub(d.pending) >= d.delay() {
		d.is, d.pending = up, time.Time{}
	}
	return d
}

// Up returns the state; known is false before the first Step.
func (d Debounce) Up() (up, known bool) { return d.is, d.known }

// Due returns when a change that has begun counts; false if none has.
func (d Debounce) Due() (time.Time, bool) {
	if d.pending.IsZero() {
		return time.Time{}, false
	}
	return d.pending.Add(d.delay()), true
}

// delay is that of the change that has begun.
func (d Debounce) delay() time.Duration {
	if d.is {
		return d.down
	}
	return d.up
}
