package election

import (
	"net/netip"
	"sync"
	"time"
)

// fairness bounds what each source may put into the queue of an instance, so that a flood of one neighbour neither
// pushes the adverts of the others out nor costs more than a look. Sources that do not fit into its table share one
// allowance, so that made-up ones cannot push out those that were there first. The zero value is ready.
type fairness struct {
	mu      sync.Mutex
	sources map[netip.Addr]allowance
	rest    allowance
}

// allowance is a bucket: spent is the time by which the datagrams so far are paid for.
type allowance struct{ spent time.Duration }

const (
	// fairEvery is the pause between two datagrams of a source that is always granted: half of the shortest advert
	// interval that version 3 can carry.
	fairEvery = 5 * time.Millisecond
	// fairAtOnce may come together, after a stall. As many of every source, and of the rest, must fit into the queue.
	fairAtOnce = 8
	// fairSources is how many sources have an allowance of their own; there are one or two.
	fairSources = 16
	// fairFor is how long a source that is silent keeps its place when others want it.
	fairFor = 10 * time.Minute
)

// admit says whether one more datagram of a source is within its allowance.
func (f *fairness) admit(now time.Duration, source netip.Addr) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	mine, known := f.sources[source]
	switch {
	case known || f.place(now):
		ok := mine.take(now)
		f.sources[source] = mine
		return ok
	default:
		return f.rest.take(now)
	}
}

// place says whether there is room for one more source, if need be that of one that has been silent for long.
func (f *fairness) place(now time.Duration) bool {
	if f.sources == nil {
		f.sources = map[netip.Addr]allowance{}
	}
	if len(f.sources) < fairSources {
		return true
	}
	for source, a := range f.sources {
		if now-a.spent > fairFor {
			delete(f.sources, source)
			return true
		}
	}
	return false
}

func (a *allowance) take(now time.Duration) bool {
	a.spent = max(a.spent, now)
	if a.spent-now > (fairAtOnce-1)*fairEvery {
		return false
	}
	a.spent += fairEvery
	return true
}
