package election

import (
	"time"

	"github.com/lvs-director/lvs-director/pkg/heartbeat"
)

// idleGrid is the grid, of the wall clock, of the wake-ups in which an instance has nothing to do: many instances wake up
// together, which costs less CPU time than one by one.
const idleGrid = heartbeat.Every / 4

// untilGrid returns for how long a loop with nothing to do waits: at most heartbeat.Every.
func untilGrid(clock time.Time) time.Duration {
	return heartbeat.Every - time.Duration(clock.UnixNano())%idleGrid
}

// arm returns for how long Run waits at most. The timer of the machine is not set again for each advert that follow
// processes: Run, or the Alarm, finds that it is not due yet.
func (a *Actor) arm() time.Duration {
	clock := time.Now()
	now := clock.Sub(a.epoch)
	wait := untilGrid(clock)
	if at, ok := a.machine.Deadline(); ok {
		wait = min(wait, at-a.asleep-now)
	}
	if at, ok := a.group.Load().sync.Deadline(); ok {
		wait = min(wait, at-a.asleep-now)
	}
	if a.more > 0 {
		wait = min(wait, a.more-now)
	}
	if a.machine.Retains() {
		wait = min(wait, claimsEvery)
	}
	a.armed = now + wait
	return wait
}
