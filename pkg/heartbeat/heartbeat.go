package heartbeat

import (
	"context"
	"maps"
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

// each calls f for each loop, in the order in which they started. f must not block.
func (s *Set) each(f func(*Signal)) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.heartbeats {
		f(p)
	}
}

// Idle is a loop and the time since its last heartbeat.
type Idle struct {
	Name   string
	Signal *Signal       // of the loop
	For    time.Duration // without a heartbeat
}

// Monitor measures the time since the last heartbeat of each loop. It is not safe for concurrent use.
type Monitor struct {
	set   *Set
	looks uint64
	seen  map[*Signal]*last
	all   []Idle // the result of Look, used again: with hundreds of loops it would be much of a process's garbage
}

type last struct {
	beats uint64
	idle  time.Duration
	look  uint64 // the last one that has seen it
}

// NewMonitor returns a monitor of the loops of set.
func NewMonitor(set *Set) *Monitor { return &Monitor{set: set, seen: map[*Signal]*last{}} }

// Look returns every loop, in the order in which they started, with the time since its last heartbeat. lived is how
// long this process has run since the last Look: the caller limits it to the time that it intended to wait, so that a
// stop of the whole process is not counted. The result is valid until the next Look.
func (m *Monitor) Look(lived time.Duration) []Idle {
	m.looks++
	clear(m.all)
	m.all = m.all[:0]
	m.set.each(func(p *Signal) {
		beats, l := p.beats.Load(), m.seen[p]
		switch {
		case l == nil:
			l = &last{beats: beats}
			m.seen[p] = l
		case l.beats != beats:
			l.beats, l.idle = beats, 0
		default:
			l.idle += lived
		}
		l.look = m.looks
		m.all = append(m.all, Idle{Name: p.name, Signal: p, For: l.idle})
	})
	if len(m.seen) > len(m.all) {
		maps.DeleteFunc(m.seen, func(_ *Signal, l *last) bool { return l.look != m.looks })
	}
	return m.all
}

// Count is how often a loop has beaten.
type Count struct {
	Name  string
	Beats uint64
}

// Counts returns how often each loop has beaten since it started.
func (s *Set) Counts() []Count {
	counts := []Count{}
	s.each(func(p *Signal) { counts = append(counts, Count{p.name, p.beats.Load()}) })
	return counts
}
