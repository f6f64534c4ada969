package daemon

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lvs-director/lvs-director/pkg/heartbeat"
)

// stalls knows which loops of a daemon have stalled, by the rule of the watchdog, so that a probe is answered at once. The zero value is
// ready; live may be called by any goroutine.
type stalls struct {
	last atomic.Pointer[liveness]
}

// liveness is the state of all loops at one time.
type liveness struct {
	loops   int
	stalled []string // their names
}

// live returns how many loops there were at the last look, and which of them had stalled; none before the first look.
func (s *stalls) live() (loops int, stalled []string) {
	if last := s.last.Load(); last != nil {
		return last.loops, last.stalled
	}
	return 0, nil
}

// run looks at the loops each second until ctx ends. Only time in which the process ran counts.
func (s *stalls) run(ctx context.Context, loops *heartbeat.Set) {
	monitor, tick := heartbeat.NewMonitor(loops), heartbeat.NewTicker(heartbeat.Every)
	defer tick.Stop()
	for last := time.Now(); ; {
		lived := min(time.Since(last), 2*heartbeat.Every)
		last = time.Now()
		all := monitor.Look(lived)
		now := &liveness{loops: len(all)}
		for _, loop := range all {
			if loop.For >= heartbeat.StalledAfter {
				now.stalled = append(now.stalled, loop.Name)
			}
		}
		s.last.Store(now)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// watch monitors the loops for probes and for systemd, until ctx ends.
func (s server) watch(ctx context.Context) {
	var probes sync.WaitGroup
	probes.Go(func() { s.stalls.run(ctx, s.service.Heartbeats()) })
	watchdog(ctx, s.service.Heartbeats(), s.log)
	probes.Wait()
}
