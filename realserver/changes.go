package realserver

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// changes is the last reported state of problems and virtual servers, so that each change is recorded once. Nothing is
// recorded before begin or after end: the changes during start and shutdown are not events.
type changes struct {
	mu        sync.Mutex // held from reading the state until its events are recorded
	recording bool
	history   problem.History
	codes     problem.Registry
	states    map[netip.AddrPort]known // of virtual servers, whose names may change
}

// known is the last reported name and state of a virtual server.
type known struct{ name, state string }

func (n *changes) begin() { n.setRecording(true) }
func (n *changes) end()   { n.setRecording(false) }

func (n *changes) setRecording(on bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.recording = on
}

// Snapshot returns the agent's status as of its last pass, with the current problems of the surrounding daemon.
func (a *Agent) Snapshot() status.Agent {
	a.changes.mu.Lock()
	defer a.changes.mu.Unlock()
	seen := a.view.Load()
	doc := seen.doc
	var others []problem.Finding
	if a.o.Problems != nil {
		others = a.o.Problems()
	}
	node := slices.Concat(others, seen.found)
	for _, f := range node {
		doc.Problems = append(doc.Problems, f.Text)
	}
	doc.ProblemDetails = a.changes.codes.Report(append(notServing(doc.VirtualServers), node...))
	a.recordChanges(doc)
	return doc
}

// recordChanges records the changes since the last document. The caller holds changes.mu.
func (a *Agent) recordChanges(doc status.Agent) {
	n, record := &a.changes, a.o.Record
	if record == nil {
		record = func(event.Event) {}
	}
	states, renamed := make(map[netip.AddrPort]known, len(doc.VirtualServers)), map[string]string{}
	for _, m := range doc.VirtualServers {
		address, _ := netip.ParseAddr(m.Address)
		id := netip.AddrPortFrom(address, uint16(m.Port))
		before, found := n.states[id]
		if !found {
			before.state = event.Unknown
		} else if before.name != m.Name {
			renamed[before.name] = m.Name
		}
		if n.recording && before.state != m.State {
			record(event.Event{Kind: event.VirtualServerState, Subject: m.Name, From: before.state, To: m.State, Reason: m.Reason})
		}
		states[id] = known{m.Name, m.State}
	}
	if n.recording {
		n.states = states
	}
	n.history.Rename(renamed)
	raised, cleared := n.history.Look(time.Now(), doc.ProblemDetails, n.recording)
	for _, e := range problem.Events(raised, cleared) {
		record(e)
	}
}
