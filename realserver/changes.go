package realserver

import (
	"slices"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// news is what was said last of problems and virtual servers, so that what is new is recorded once. Nothing is recorded
// before begin or after end: on the way in and out everything changes, and none of it is news.
type news struct {
	mu      sync.Mutex // held from a look to the end of what is made of it
	telling bool
	history problem.History
	codes   problem.Registry
	states  map[string]string // of virtual servers, by name
}

func (n *news) begin() { n.tell(true) }
func (n *news) end()   { n.tell(false) }

func (n *news) tell(on bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.telling = on
}

// Snapshot is what the agent says of itself as of its last pass, with the problems of the daemon around it as of now.
func (a *Agent) Snapshot() status.Agent {
	a.news.mu.Lock()
	defer a.news.mu.Unlock()
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
	doc.ProblemDetails = a.news.codes.Report(append(notServing(doc.VirtualServers), node...))
	a.recordNews(doc)
	return doc
}

// recordNews records what has changed since the last document. news.mu is held.
func (a *Agent) recordNews(doc status.Agent) {
	n, record := &a.news, a.o.Record
	if record == nil {
		record = func(event.Event) {}
	}
	if n.telling {
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
	raised, cleared := n.history.Look(time.Now(), doc.ProblemDetails, n.telling)
	for _, e := range problem.Events(raised, cleared) {
		record(e)
	}
}
