package director

import (
	"fmt"
	"math"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// stepEvery is the shortest time between two turns for slow starts alone: those of thousands of real servers have steps at any time.
const stepEvery = time.Second

// stepAt returns when the next turn for slow starts is due; zero: none is.
func (d *Director) stepAt() time.Time {
	due := d.plan.Load().Table.Starts.Due
	if earliest := d.in.Now.Add(stepEvery); !due.IsZero() && due.Before(earliest) {
		return earliest
	}
	return due
}

// stepDue reports whether a turn for slow starts is due.
func (d *Director) stepDue(now time.Time) bool {
	at := d.stepAt()
	return !at.IsZero() && !now.Before(at)
}

// untilStep returns the time until a turn for slow starts is due.
func (d *Director) untilStep(now time.Time) time.Duration {
	at := d.stepAt()
	if at.IsZero() {
		return time.Hour
	}
	return max(at.Sub(now), 0)
}

// addSlowStart says how far the slow start of a real server is.
func addSlowStart(s *status.RealServer, v config.VirtualServer, start lvs.Start, entry *lvs.Server, whole int, now time.Time) {
	if start.Part == (lvs.Part{}) || entry == nil || entry.Weight == 0 {
		return
	}
	left := start.Since.Add(v.SlowStart).Sub(now) // the last step may be late by stepEvery
	end := now.Add(left)
	s.SlowStartUntil = &end
	s.Reason += fmt.Sprintf("; weight %d of %d: slow start, %d s left", entry.Weight, whole, int(math.Ceil(max(left.Seconds(), 1))))
}
