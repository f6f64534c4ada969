package heartbeat

import (
	"sync"
	"time"
)

// Until returns for how long a loop waits that has something to do every so often: until the next multiple of every on the wall
// clock, at least 1 ns and at most every. Loops that wait in this way wake up together. Most of the CPU time of an idle
// process is the waking of its threads, and many wake-ups at the same moment cost about as much as one.
func Until(clock time.Time, every time.Duration) time.Duration {
	return every - time.Duration(clock.UnixNano())%every
}

// Early returns a wait for a loop to which it does not matter whether it waits for up to a quarter of a second less, such that
// its end is a multiple of that quarter on the wall clock, for the same reason: at most wait, above wait less Every/4 and above 0,
// for a wait above 0.
func Early(clock time.Time, wait time.Duration) time.Duration {
	const grid = Every / 4
	if less := time.Duration(clock.Add(wait).UnixNano()) % grid; less < wait {
		wait -= less
	}
	return wait
}

// Ticker is a time.Ticker whose ticks are at the multiples of its period on the wall clock; see Until. The first one comes
// within a period. Ticks are dropped for a slow receiver.
type Ticker struct {
	C <-chan time.Time

	mu      sync.Mutex // guards the fields below
	timer   *time.Timer
	stopped bool
}

// NewTicker returns a running Ticker with a period above 0. The caller stops it.
func NewTicker(every time.Duration) *Ticker {
	ticks := make(chan time.Time, 1)
	t := &Ticker{C: ticks}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.timer = time.AfterFunc(Until(time.Now(), every), func() {
		now := time.Now()
		select {
		case ticks <- now:
		default:
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		if !t.stopped {
			t.timer.Reset(Until(now, every))
		}
	})
	return t
}

// Stop ends the ticks. It does not close C, and may be called more than once.
func (t *Ticker) Stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopped = true
	t.timer.Stop()
}
