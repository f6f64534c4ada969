package plan

import (
	"maps"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// SlowStarts are those of the pools that have any, as of one moment, by the first key of their virtual server as Memories. They are
// immutable; the zero value has none.
type SlowStarts struct {
	// Due is when a real server gets more of its weight although nothing else happens; zero: none does.
	Due   time.Time
	pools map[lvs.Key]lvs.Starts
	at    time.Time
}

// Of returns the slow starts of a pool.
func (s SlowStarts) Of(v config.VirtualServer) lvs.Starts { return s.pools[lvs.KeyOf(v)] }

func (s SlowStarts) equal(other SlowStarts) bool {
	return maps.EqualFunc(s.pools, other.pools, lvs.Starts.Equal)
}

// starting returns the table with the slow starts that follow from those before it at a moment. A pool without any begins as it is in
// found, as for Memories; killed: that is what a director has left that was killed.
func (t Table) starting(before SlowStarts, found func() []lvs.Service, killed bool, now time.Time) Table {
	t.Starts = before.next(t.Servers, t.reserved(), found, killed, now)
	return t
}

func (s SlowStarts) next(servers []config.VirtualServer, condition func(config.ServerID) lvs.Condition, found func() []lvs.Service, killed bool, now time.Time) SlowStarts {
	after := SlowStarts{at: now}
	var services map[lvs.Key]lvs.Service // read only if a pool has none
	for _, v := range servers {
		if v.SlowStart == 0 {
			continue
		}
		key := lvs.KeyOf(v)
		starts, known := s.pools[key]
		if !known {
			if services == nil {
				services = byKey(found)
			}
			starts = lvs.BeginStarts(v, condition, services, killed, now)
		}
		if after.pools == nil {
			after.pools = map[lvs.Key]lvs.Starts{}
		}
		next, due := starts.Next(v, condition, now)
		after.pools[key] = next
		if !due.IsZero() && (after.Due.IsZero() || due.Before(after.Due)) {
			after.Due = due
		}
	}
	return after
}

// apply adds the parts of their weights that real servers have to what is known about them.
func (s SlowStarts) apply(servers []config.VirtualServer, condition func(config.ServerID) lvs.Condition) func(config.ServerID) lvs.Condition {
	rising := map[config.ServerID]lvs.Part{}
	for _, v := range servers {
		starts := s.Of(v)
		for _, r := range v.RealServers {
			if start := starts.StartOf(v, r); start.Part != (lvs.Part{}) {
				rising[config.ServerID{Service: v.Name, Server: r.Name}] = start.Part
			}
		}
	}
	if len(rising) == 0 {
		return condition
	}
	return func(id config.ServerID) lvs.Condition {
		c := condition(id)
		c.Part = rising[id]
		return c
	}
}
