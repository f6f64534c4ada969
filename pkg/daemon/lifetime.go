package daemon

import (
	"sync/atomic"

	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/journal"
	"github.com/lvs-director/lvs-director/pkg/problem"
)

// lifetime records the start and the stop of a daemon. A daemon that fails to start records nothing: if another daemon
// is running, the journal belongs to that one.
type lifetime struct {
	program, version string
	record           func(event.Event)
	started          atomic.Bool
}

// began wraps the function that is called when the loops are running.
func (l *lifetime) began(started func(), from *source) func() {
	return func() {
		l.started.Store(true)
		l.record(event.Event{Kind: event.DaemonStarted, Subject: l.program, To: l.version, Reason: "started with " + from.summary()})
		started()
	}
}

// ended records the result of Run.
func (l *lifetime) ended(err error) {
	switch {
	case !l.started.Load():
	case err != nil:
		l.record(event.Event{Kind: event.DaemonStopped, Subject: l.program, From: l.version, Reason: "failed: " + err.Error()})
	default:
		l.record(event.Event{Kind: event.DaemonStopped, Subject: l.program, From: l.version, Reason: "stopped gracefully"})
	}
}

// unsaved returns the problem of events that could not be written to the file.
func unsaved(events *journal.Journal) []problem.Finding {
	if text := events.Keeper().Problem(); text != "" {
		return []problem.Finding{{Code: problem.EventsNotSaved, Text: text}}
	}
	return nil
}
