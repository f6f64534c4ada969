package journal

import (
	"context"
	"log/slog"
	"time"

	"github.com/lvs-director/lvs-director/pkg/event"
)

// fault is the state of an instance that cannot take part in its election; see vrrp.Fault.
const fault = "FAULT"

// Log returns the subscriber that writes the log: one line for each change of an election, a real server, a virtual
// server, a track or a BFD session, and for a refused reload. What is CRITICAL in the status is an ERROR here, and what is a WARNING a
// WARN. The log's writer has a queue, so Log can be called in the recording goroutine. Events that are logged in more
// detail where they occur are not logged here.
func Log(to *slog.Logger) func(event.Event) {
	return func(e event.Event) {
		log := timedLog{to.Handler(), e.Time}
		switch e.Kind {
		case event.InstanceState:
			if e.To == fault {
				log.Error("state", "instance", e.Subject, "vrid", e.VirtualRouterID, "from", e.From, "to", e.To, "reason", e.Reason)
				return
			}
			log.Info("state", "instance", e.Subject, "vrid", e.VirtualRouterID, "from", e.From, "to", e.To, "reason", e.Reason)
		case event.InstancePriority:
			log.Info("priority", "instance", e.Subject, "vrid", e.VirtualRouterID, "from", e.From, "to", e.To, "reason", e.Reason)
		case event.InstanceHandover:
			log.Info("handover", "instance", e.Subject, "vrid", e.VirtualRouterID, "reason", e.Reason)
		case event.OverrideChanged:
			log.Info("override", "target", e.Subject, "from", e.From, "to", e.To, "reason", e.Reason)
		case event.CountersZeroed:
			log.Info("counters set to zero", "virtual_server", e.Subject, "reason", e.Reason)
		case event.DrainEnded:
			log.Info("drain ended", "server", e.Subject, "how", e.To, "reason", e.Reason)
		case event.RealServerState, event.TrackState:
			name := e.Subject
			if e.Kind == event.TrackState {
				name = "track " + name
			}
			full := e.To == event.Full
			if full || e.To == event.Down {
				log.Warn("verdict", "server", name, "up", full, "full", full, "code", e.Code, "reason", e.Reason)
				return
			}
			log.Info("verdict", "server", name, "up", e.To == event.Up, "full", full, "code", e.Code, "reason", e.Reason)
		case event.VirtualServerState:
			if e.To == event.Down {
				log.Error("virtual server", "virtual_server", e.Subject, "from", e.From, "to", e.To, "reason", e.Reason)
				return
			}
			log.Info("virtual server", "virtual_server", e.Subject, "from", e.From, "to", e.To, "reason", e.Reason)
		case event.BFDSessionState:
			if e.To != "Up" {
				log.Warn("BFD session", "session", e.Subject, "from", e.From, "to", e.To, "reason", e.Reason)
				return
			}
			log.Info("BFD session", "session", e.Subject, "from", e.From, "to", e.To)
		case event.ReloadRefused:
			log.Error("reload refused; the running configuration stays", "error", e.Reason)
		}
	}
}

// timedLog writes lines with the time of an event, so that a line and its event have the same time, and the clock is
// read once for both. Where reading it is a system call, that is the larger part of what an event costs.
type timedLog struct {
	handler slog.Handler
	at      time.Time
}

func (l timedLog) Info(message string, args ...any)  { l.write(slog.LevelInfo, message, args) }
func (l timedLog) Warn(message string, args ...any)  { l.write(slog.LevelWarn, message, args) }
func (l timedLog) Error(message string, args ...any) { l.write(slog.LevelError, message, args) }

func (l timedLog) write(level slog.Level, message string, args []any) {
	ctx := context.Background()
	if !l.handler.Enabled(ctx, level) {
		return
	}
	r := slog.NewRecord(l.at, level, message, 0)
	r.Add(args...)
	_ = l.handler.Handle(ctx, r) // a log that cannot be written is nothing that an event waits for
}
