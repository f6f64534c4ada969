package task

import (
	"context"
	"time"

	"github.com/lvs-director/lvs-director/pkg/heartbeat"
)

// Pause waits, and reports whether ctx has not ended meanwhile. A time of 0 or less does not wait.
func Pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// Every calls f at each interval (see heartbeat.Ticker), which is at most heartbeat.Every, with a heartbeat before it, until
// ctx ends. It is the Run of a loop that looks at something of which there are no events. It returns nil.
func Every(ctx context.Context, interval time.Duration, f func()) error {
	heart := heartbeat.From(ctx)
	defer heart.Stop()
	tick := heartbeat.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			heart.Beat()
			f()
		}
	}
}
