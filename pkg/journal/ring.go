package journal

import (
	"slices"
	"time"
	"unsafe"

	"github.com/lvs-director/lvs-director/pkg/event"
)

// MemoryBytes limits the events in memory: about 1,300 of typical length.
const MemoryBytes = 512 << 10

// ring holds the newest events, oldest first. The zero value is empty.
type ring struct {
	events []event.Event
	size   int
}

func (r *ring) add(e event.Event) {
	r.events = append(r.events, e)
	r.size += weight(e)
	for r.size > MemoryBytes {
		r.size -= weight(r.events[0])
		r.events[0] = event.Event{} // releases its texts
		r.events = r.events[1:]
	}
}

// weight is the memory usage of an event. The size of the struct is counted twice because append doubles the capacity.
func weight(e event.Event) int {
	return 2*int(unsafe.Sizeof(e)) + len(e.Subject) + len(e.From) + len(e.To) + len(e.Code) + len(e.Reason)
}

func (r *ring) since(from time.Time) []event.Event {
	all := make([]event.Event, 0, len(r.events))
	for _, e := range r.events {
		if !e.Time.Before(from) {
			all = append(all, e)
		}
	}
	return all
}

// after returns the events after the one with an id, which happened at a time; without that one those since then, and before
// them one that says that others may be missing.
func (r *ring) after(id string, at time.Time) []event.Event {
	for n, e := range slices.Backward(r.events) {
		if e.Time.Equal(at) && e.ID() == id {
			return slices.Clone(r.events[n+1:])
		}
	}
	missing := event.Event{Time: at, Kind: event.EventsLost, Reason: "events may be missing here: the one that was received last is not in memory any more"}
	return append([]event.Event{missing}, r.since(at)...)
}
