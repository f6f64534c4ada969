package vrrp

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// TraceEntry is one Step of a machine.
type TraceEntry struct {
	At      time.Duration
	Event   Event
	Actions []Action
	State   State // after the Step
}

// String returns the entry in the text form of Trace: the time and the event on one line, then each action on its own
// line after a tab, followed by the state if there were any actions.
func (e TraceEntry) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", e.At, e.Event)
	for _, a := range e.Actions {
		fmt.Fprintf(&b, "\t%s\n", a)
	}
	if len(e.Actions) > 0 {
		fmt.Fprintf(&b, "\t= %s\n", e.State)
	}
	return b.String()
}

// Trace records the last Steps of a machine together with the state of the machine before them, so that they can be
// replayed. It is not safe for concurrent use.
type Trace struct {
	base    Machine
	entries []TraceEntry // a ring when there are limit of them
	oldest  int          // the index of the oldest one
	limit   int
}

// NewTrace returns a trace that begins at the current state of m and keeps the last limit Steps, at least one.
func NewTrace(m *Machine, limit int) *Trace {
	return &Trace{base: *m, limit: max(limit, 1)}
}

// Step calls m.Step and records it. Every Step of the machine must go through its trace, or a replay will differ.
func (t *Trace) Step(m *Machine, now time.Duration, ev Event) []Action {
	acts := m.Step(now, ev)
	entry := TraceEntry{At: now, Event: ev, Actions: acts, State: m.State()}
	if len(t.entries) < t.limit {
		t.entries = append(t.entries, entry)
		return acts
	}
	// Replace the oldest entry and apply it to the base.
	old := &t.entries[t.oldest]
	t.base.Step(old.At, old.Event)
	*old = entry
	t.oldest = (t.oldest + 1) % t.limit
	return acts
}

// Entries returns the recorded entries, oldest first.
func (t *Trace) Entries() []TraceEntry {
	return append(slices.Clone(t.entries[t.oldest:]), t.entries[:t.oldest]...)
}

// Clone returns a copy that is not affected by later Steps.
func (t *Trace) Clone() *Trace {
	return &Trace{base: t.base, entries: t.Entries(), limit: t.limit}
}

// Replay runs the recorded events again on a fresh copy of the machine and returns the resulting trace.
func (t *Trace) Replay() *Trace {
	m := t.base
	out := NewTrace(&m, max(t.limit, len(t.entries)))
	for _, e := range t.Entries() {
		out.Step(&m, e.At, e.Event)
	}
	return out
}

// snapshot is the first line of a trace.
type snapshot struct {
	VRID           uint8         `json:"vrid"`
	Version        uint8         `json:"version"`
	Priority       uint8         `json:"priority"`
	AdvertInterval time.Duration `json:"interval"`
	Preempt        bool          `json:"preempt"`
	PreemptDelay   time.Duration `json:"preempt_delay"`
	Source         netip.Addr    `json:"source"`
	AuthType       uint8         `json:"auth,omitempty"`
	DownAdverts    uint8         `json:"down_adverts,omitempty"`

	HigherPrioNoAdvert  bool `json:"higher_prio_no_advert,omitempty"`
	LowerPrioNoAdvert   bool `json:"lower_prio_no_advert,omitempty"`
	OwnerIgnoresAdverts bool `json:"owner_ignores_adverts,omitempty"`
	Grouped             bool `json:"grouped,omitempty"`

	Memory memory `json:"memory"`
}

// String returns the trace as text: "params …" for a machine that has processed no event yet or "machine {…}" for one
// that has, then the entries. ParseTrace reads it.
func (t *Trace) String() string {
	var b strings.Builder
	if t.base.mem == NewMachine(t.base.p).mem {
		fmt.Fprintf(&b, "params %s\n", t.base.p)
	} else {
		p := t.base.p
		// A struct of numbers, strings and addresses can always be marshalled.
		line, _ := json.Marshal(snapshot{
			VRID: p.VRID, Version: p.Version, Priority: p.Priority, AdvertInterval: p.AdvertInterval, Preempt: p.Preempt,
			PreemptDelay: p.PreemptDelay, Source: p.Source, AuthType: p.AuthType,
			DownAdverts: p.DownAdverts, HigherPrioNoAdvert: p.HigherPrioNoAdvert, LowerPrioNoAdvert: p.LowerPrioNoAdvert,
			OwnerIgnoresAdverts: p.OwnerIgnoresAdverts, Grouped: p.Grouped, Memory: t.base.mem,
		})
		fmt.Fprintf(&b, "machine %s\n", line)
	}
	for _, e := range t.Entries() {
		b.WriteString(e.String())
	}
	return b.String()
}
