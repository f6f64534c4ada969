package journal

import (
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/event"
)

// Journal holds the events of one daemon. Its methods are safe for concurrent use and do not block.
type Journal struct {
	keeper *Keeper
	log    func(event.Event)

	mu            sync.Mutex // guards the fields below
	ring          ring
	subscriptions map[*Subscription]bool
}

// New creates a Journal with a file in dir, which need not exist. The running Keeper reads and writes the file. log is
// called with every event in the goroutine that records it and must not block; it may be nil.
func New(dir string, log func(event.Event)) *Journal {
	if log == nil {
		log = func(event.Event) {}
	}
	j := &Journal{log: log, subscriptions: map[*Subscription]bool{}}
	j.keeper = &Keeper{journal: j, file: fileIn(dir), queue: j.subscribe()}
	return j
}

// Keeper returns the task that reads and writes the file.
func (j *Journal) Keeper() *Keeper { return j.keeper }

// Record records an event. An event without a time gets the current time.
func (j *Journal) Record(e event.Event) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	bounded := e.Bounded() // not for the log, which has its own limits
	// With the lock held, so that the log and all subscribers see the same order. None of them blocks.
	j.mu.Lock()
	defer j.mu.Unlock()
	j.log(e)
	j.ring.add(bounded)
	for s := range j.subscriptions {
		s.offer(bounded)
	}
}

// Since returns the events in memory at or after a time, oldest first; all of them for the zero time.
func (j *Journal) Since(from time.Time) []event.Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.ring.since(from)
}

// Follow returns the events of Since and a subscription to all later events.
func (j *Journal) Follow(from time.Time) ([]event.Event, *Subscription) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.ring.since(from), j.subscribe()
}

// FollowAfter returns the events after the one with an id (see event.Event.ID), and a subscription to all later ones. If that event is
// not in memory any more, these are the events since its time, after one that says so.
func (j *Journal) FollowAfter(id string) ([]event.Event, *Subscription, error) {
	at, err := event.TimeOfID(id)
	if err != nil {
		return nil, nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.ring.after(id, at), j.subscribe(), nil
}

// restore inserts the events of earlier runs before those of this run.
func (j *Journal) restore(earlier *ring) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.ring.events {
		earlier.add(e)
	}
	j.ring = *earlier
}

// subscribe adds a subscription. The caller must hold mu once the Journal is shared.
func (j *Journal) subscribe() *Subscription {
	s := &Subscription{journal: j, wake: make(chan struct{}, 1)}
	j.subscriptions[s] = true
	return s
}

// queued is the capacity of a subscriber's queue.
const queued = 1024

// Subscription is a queue of events for one reader.
type Subscription struct {
	journal *Journal
	wake    chan struct{}

	mu     sync.Mutex // guards the fields below
	events []event.Event
	lost   int
}

// Wake has an element when Take has events to return.
func (s *Subscription) Wake() <-chan struct{} { return s.wake }

// Take returns the events since the last call, oldest first. lost is the number of later events that did not fit into
// the queue.
func (s *Subscription) Take() (events []event.Event, lost int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	events, lost = s.events, s.lost
	s.events, s.lost = nil, 0
	return events, lost
}

// Close ends the subscription. A second call does nothing.
func (s *Subscription) Close() {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	delete(s.journal.subscriptions, s)
}

func (s *Subscription) offer(e event.Event) {
	s.mu.Lock()
	if len(s.events) >= queued {
		s.lost++
	} else {
		s.events = append(s.events, e)
	}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
