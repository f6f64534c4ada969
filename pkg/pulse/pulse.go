package pulse

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Every is how often a loop beats at least, also one that has nothing to do.
const Every = time.Second

// Pulse is one loop's. Its methods are safe for concurrent use, and do nothing on nil: for a loop that nobody watches.
type Pulse struct {
	name  string
	set   *Set
	beats atomic.Uint64
}

// Beat says that the loop has come round.
func (p *Pulse) Beat() {
	if p != nil {
		p.beats.Add(1)
	}
}

// Stop takes the loop out of the set: it has ended and will beat no more.
func (p *Pulse) Stop() {
	if p != nil {
		p.set.remove(p)
	}
}

type key struct{}

// With gives a loop its pulse.
func With(ctx context.Context, p *Pulse) context.Context { return context.WithValue(ctx, key{}, p) }

// From is the pulse that the loop of this context is to beat; nil, of which nobody takes notice, when it was given none.
func From(ctx context.Context) *Pulse {
	p, _ := ctx.Value(key{}).(*Pulse)
	return p
}

// Set is the loops of one process. The zero value is empty and ready for use; so is nil, whose loops nobody watches.
type Set struct {
	mu     sync.Mutex // guards pulses
	pulses []*Pulse
}

// Start adds a loop. The name is a noun phrase for a sentence: "the table loop".
func (s *Set) Start(name string) *Pulse {
	if s == nil {
		return nil
	}
	p := &Pulse{name: name, set: s}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pulses = append(s.pulses, p)
	return p
}

func (s *Set) remove(p *Pulse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, q := range s.pulses {
		if q == p {
			s.pulses = append(s.pulses[:i:i], s.pulses[i+1:]...)
			return
		}
	}
}

func (s *Set) all() []*Pulse {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*Pulse(nil), s.pulses...)
}

// Idle is a loop and how long it has not beaten.
type Idle struct {
	Name  string
	Pulse *Pulse // whose
	For   time.Duration
}

// Monitor measures for how long loops have not beaten. It belongs to one goroutine.
type Monitor struct {
	set  *Set
	seen map[*Pulse]*last
}

type last struct {
	beats uint64
	idle  time.Duration
}

// NewMonitor watches the loops of set.
func NewMonitor(set *Set) *Monitor { return &Monitor{set: set, seen: map[*Pulse]*last{}} }

// Look returns every loop, in the order in which they started, with the time for which it has not beaten. lived is how
// long this process has been running since the last Look: the caller bounds it by the time that it meant to wait, so that
// a stop of the whole process counts for nothing.
func (m *Monitor) Look(lived time.Duration) []Idle {
	pulses := m.set.all()
	seen := make(map[*Pulse]*last, len(pulses))
	all := make([]Idle, 0, len(pulses))
	for _, p := range pulses {
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
		all = append(all, Idle{Name: p.name, Pulse: p, For: l.idle})
	}
	m.seen = seen
	return all
}
