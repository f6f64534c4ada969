package realserver

import (
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
	states    map[string]string // of virtual servers, by name
}

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
	if n.recording {
		states := make(map[string]string, len(doc.VirtualServers))
		for _, m := range doc.VirtualServers {
			before, known := n.states[m.Name]
			if !known {
				before = event.Unknown
			}
			if before != m.State {
				record(event.Event{Kind: event.VirtualServerState, Subject: m.Name, From: before, To: m.State, Reason: m.Reason})
			}
			states[m.Name] = m.State
		}
		n.states = states
	}
	raised, cleared := n.history.Look(time.Now(), doc.ProblemDetails, n.recording)
	for _, e := range problem.Events(raised, cleared) {
		record(e)
	}
}
