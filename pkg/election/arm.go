package election

import (
	"time"

	"github.com/lvs-director/lvs-director/pkg/heartbeat"
)

// arm returns for how long Run waits at most. The timer of the machine is not set again for each advert that follow
// processes: Run, or the Alarm, finds that it is not due yet.
func (a *Actor) arm() time.Duration {
	clock := time.Now()
	now := clock.Sub(a.epoch)
	wait := heartbeat.Early(clock, heartbeat.Every)
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
