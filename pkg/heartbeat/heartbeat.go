package heartbeat

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Every is the maximum interval between two heartbeats of a loop, even one that is idle.
const Every = time.Second

// StalledAfter is how long a loop may go without a heartbeat before it counts as stalled. Every blocking call of a loop has a far
// shorter deadline, so that this limit is exceeded only because of a bug or a kernel that hangs. WatchdogSec= of the shipped units is the
// same.
const StalledAfter = 30 * time.Second

// Signal is the heartbeat of one loop. Its methods are safe for concurrent use and do nothing on a nil Signal, which a
// loop without a monitor has.
type Signal struct {
	name  string
	set   *Set
	beats atomic.Uint64
}

// Beat records that the loop has made progress.
func (p *Signal) Beat() {
	if p != nil {
		p.beats.Add(1)
	}
}

// Stop removes the loop from the set when it ends.
func (p *Signal) Stop() {
	if p != nil {
		p.set.remove(p)
	}
}

type key struct{}

// With returns a context that carries the heartbeat of a loop.
func With(ctx context.Context, p *Signal) context.Context { return context.WithValue(ctx, key{}, p) }

// From returns the heartbeat of the loop that runs with ctx; nil, whose methods do nothing, if there is none.
func From(ctx context.Context) *Signal {
	p, _ := ctx.Value(key{}).(*Signal)
	return p
}

// Set is the set of monitored loops of one process. The zero value is empty and ready for use. Loops of a nil Set are
// not monitored.
type Set struct {
	mu         sync.Mutex // guards heartbeats
	heartbeats []*Signal
}

// Start adds a loop. The name is a noun phrase for use in messages: "the table loop".
func (s *Set) Start(name string) *Signal {
	if s == nil {
		return nil
	}
	p := &Signal{name: name, set: s}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heartbeats = append(s.heartbeats, p)
	return p
}

func (s *Set) remove(p *Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, q := range s.heartbeats {
		if q == p {
			s.heartbeats = append(s.heartbeats[:i:i], s.heartbeats[i+1:]...)
			return
		}
	}
}

func (s *Set) all() []*Signal {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*Signal(nil), s.heartbeats...)
}

// Idle is a loop and the time since its last heartbeat.
type Idle struct {
	Name   string
	Signal *Signal       // of the loop
	For    time.Duration // without a heartbeat
}

// Monitor measures the time since the last heartbeat of each loop. It is not safe for concurrent use.
type Monitor struct {
	set  *Set
	seen map[*Signal]*last
}

type last struct {
	beats uint64
	idle  time.Duration
}

// NewMonitor returns a monitor of the loops of set.
func NewMonitor(set *Set) *Monitor { return &Monitor{set: set, seen: map[*Signal]*last{}} }

// Look returns every loop, in the order in which they started, with the time since its last heartbeat. lived is how
// long this process has run since the last Look: the caller limits it to the time that it intended to wait, so that a
// stop of the whole process is not counted.
func (m *Monitor) Look(lived time.Duration) []Idle {
	heartbeats := m.set.all()
	seen := make(map[*Signal]*last, len(heartbeats))
	all := make([]Idle, 0, len(heartbeats))
	for _, p := range heartbeats {
		beats, l := p.beats.Load(), m.seen[p]
		switch {
		case l == nil:
			l = &last{beats: beats}
		case l.beats != beats:
			l.beats, l.idle = beats, 0
		default:
			l.idle += lived
		}
		seen[p] = l
		all = append(all, Idle{Name: p.name, Signal: p, For: l.idle})
	}
	m.seen = seen
	return all
}

// Count is how often a loop has beaten.
type Count struct {
	Name  string
	Beats uint64
}

// Counts returns how often each loop has beaten since it started.
func (s *Set) Counts() []Count {
	heartbeats := s.all()
	counts := make([]Count, len(heartbeats))
	for i, p := range heartbeats {
		counts[i] = Count{p.name, p.beats.Load()}
	}
	return counts
}
