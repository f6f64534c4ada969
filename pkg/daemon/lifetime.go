package daemon

import (
	"sync/atomic"

	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/journal"
	"github.com/lvs-director/lvs-director/pkg/problem"
)

// lifetime records the beginning and the end of a daemon. One that did not come so far as to start has none: beside a daemon
// that runs, it has no business in that one's journal.
type lifetime struct {
	program, version string
	record           func(event.Event)
	started          atomic.Bool
}

// began wraps what is called when the loops run.
func (l *lifetime) began(started func(), from *source) func() {
	return func() {
		l.started.Store(true)
		l.record(event.Event{Kind: event.DaemonStarted, Subject: l.program, To: l.version, Reason: "started with " + from.summary()})
		started()
	}
}

// ended takes note of what Run has returned.
func (l *lifetime) ended(err error) {
	switch {
	case !l.started.Load():
	case err != nil:
		l.record(event.Event{Kind: event.DaemonStopped, Subject: l.program, From: l.version, Reason: "failed: " + err.Error()})
	default:
		l.record(event.Event{Kind: event.DaemonStopped, Subject: l.program, From: l.version, Reason: "stopped as it was told to"})
	}
}

// unsaved is the problem of events that are not in the file.
func unsaved(events *journal.Journal) []problem.Finding {
	if text := events.Keeper().Problem(); text != "" {
		return []problem.Finding{{Code: problem.EventsNotSaved, Text: text}}
	}
	return nil
}
