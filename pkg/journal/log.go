package journal

import (
	"log/slog"

	"github.com/lvs-director/lvs-director/pkg/event"
)

// Log returns the subscriber that writes the log: one line for each change of an election, a real server or a track,
// and for a refused reload. The log's writer has a queue, so Log can be called in the recording goroutine. Events that
// are logged in more detail where they occur are not logged here.
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
