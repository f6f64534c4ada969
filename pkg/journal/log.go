package journal

import (
	"log/slog"

	"github.com/lvs-director/lvs-director/pkg/event"
)

// Log makes the subscriber that writes the log: one line for each change of an election, a real server or a track, and for a
// reload that was refused. Its queue is that of the log's writer, so that it may be told in the goroutine of whoever
// records. What is logged with more detail where it happens is not logged again here.
func Log(log *slog.Logger) func(event.Event) {
	return func(e event.Event) {
		switch e.Kind {
		case event.InstanceState:
			log.Info("state", "instance", e.Subject, "vrid", e.VirtualRouterID, "from", e.From, "to", e.To, "reason", e.Reason)
		case event.RealServerState, event.TrackState:
			name := e.Subject
			if e.Kind == event.TrackState {
				name = "track " + name
			}
			full := e.To == event.Full
			log.Info("verdict", "server", name, "up", full || e.To == event.Up, "full", full, "code", e.Code, "reason", e.Reason)
		case event.ReloadRefused:
			log.Error("reload refused; the running configuration stays", "error", e.Reason)
		}
	}
}
