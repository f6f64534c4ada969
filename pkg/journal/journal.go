package journal

import (
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/event"
)

// Journal is the events of one daemon. Its methods may be called from any goroutine, and wait for none.
type Journal struct {
	keeper *Keeper
	log    func(event.Event)

	mu            sync.Mutex // guards what follows
	ring          ring
	subscriptions map[*Subscription]bool
}

// New makes a Journal with a file in dir, which need not exist. The file is read and written by the Keeper, once that
// runs. log is told of every event in the goroutine of whoever records it, and must return at once; nil: nobody is told.
func New(dir string, log func(event.Event)) *Journal {
	if log == nil {
		log = func(event.Event) {}
	}
	j := &Journal{log: log, subscriptions: map[*Subscription]bool{}}
	j.keeper = &Keeper{journal: j, file: fileIn(dir), queue: j.subscribe()}
	return j
}

// Keeper is the task that reads and writes the file.
func (j *Journal) Keeper() *Keeper { return j.keeper }

// Record takes an event. One without a time happens now.
func (j *Journal) Record(e event.Event) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	bounded := e.Bounded() // not for the log, which has bounds of its own
	// Within the lock, so that the log and all subscribers have the same order. None of them waits.
	j.mu.Lock()
	defer j.mu.Unlock()
	j.log(e)
	j.ring.add(bounded)
	for s := range j.subscriptions {
		s.offer(bounded)
	}
}

// Since are the events in memory that happened at a time or after it, oldest first; all of them for the zero time.
func (j *Journal) Since(from time.Time) []event.Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.ring.since(from)
}

// Follow returns what Since does, and a subscription to everything that comes after.
func (j *Journal) Follow(from time.Time) ([]event.Event, *Subscription) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.ring.since(from), j.subscribe()
}

// restore puts events of an earlier run before those of this one.
func (j *Journal) restore(earlier *ring) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.ring.events {
		earlier.add(e)
	}
	j.ring = *earlier
}

// subscribe adds a subscription. Whoever shares the Journal already holds mu.
func (j *Journal) subscribe() *Subscription {
	s := &Subscription{journal: j, wake: make(chan struct{}, 1)}
	j.subscriptions[s] = true
	return s
}

// queued bounds the events that wait for one subscriber.
const queued = 1024

// Subscription is a queue of events for one reader.
type Subscription struct {
	journal *Journal
	wake    chan struct{}

	mu     sync.Mutex // guards what follows
	events []event.Event
	lost   int
}

// Wake has an element when there is something to take.
func (s *Subscription) Wake() <-chan struct{} { return s.wake }

// Take returns what has come since it was last called, oldest first. lost is how many more came after those, and did not
// fit into the queue.
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
