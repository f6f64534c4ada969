package heartbeat

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Every is how often a loop beats at least, also one that has nothing to do.
const Every = time.Second

// Signal is one loop's. Its methods are safe for concurrent use, and do nothing on nil: for a loop that nobody watches.
type Signal struct {
	name  string
	set   *Set
	beats atomic.Uint64
}

// Beat says that the loop has come round.
func (p *Signal) Beat() {
	if p != nil {
		p.beats.Add(1)
	}
}

// Stop takes the loop out of the set: it has ended and will beat no more.
func (p *Signal) Stop() {
	if p != nil {
		p.set.remove(p)
	}
}

type key struct{}

// With gives a loop its heartbeat.
func With(ctx context.Context, p *Signal) context.Context { return context.WithValue(ctx, key{}, p) }

// From is the heartbeat that the loop of this context is to beat; nil, of which nobody takes notice, when it was given none.
func From(ctx context.Context) *Signal {
	p, _ := ctx.Value(key{}).(*Signal)
	return p
}

// Set is the loops of one process. The zero value is empty and ready for use; so is nil, whose loops nobody watches.
type Set struct {
	mu         sync.Mutex // guards heartbeats
	heartbeats []*Signal
}

// Start adds a loop. The name is a noun phrase for a sentence: "the table loop".
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

// Idle is a loop and how long it has not beaten.
type Idle struct {
	Name   string
	Signal *Signal // whose
	For    time.Duration
}

// Monitor measures for how long loops have not beaten. It belongs to one goroutine.
type Monitor struct {
	set  *Set
	seen map[*Signal]*last
}

type last struct {
	beats uint64
	idle  time.Duration
}

// NewMonitor watches the loops of set.
func NewMonitor(set *Set) *Monitor { return &Monitor{set: set, seen: map[*Signal]*last{}} }

// Look returns every loop, in the order in which they started, with the time for which it has not beaten. lived is how
// long this process has been running since the last Look: the caller bounds it by the time that it meant to wait, so that
// a stop of the whole process counts for nothing.
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
