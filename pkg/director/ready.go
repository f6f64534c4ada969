package director

import (
	"log/slog"
	"time"
)

// readyWithin limits how long a director does not preempt because its first checks are not done.
const readyWithin = 30 * time.Second

// Why a director is not ready.
const (
	notChecked = "the first health checks are not done"
	noServer   = "no real server takes connections"
)

// readiness decides whether the instances may preempt: once every check has run and the table is complete, and while
// a real server in the table takes new connections. A director that reaches no real server, perhaps because its own
// network is not up, or whose servers are drained, would take the VIP from a working director and refuse the clients. If there is no MASTER, a director takes over
// regardless. readiness reads no clock; the zero value is past its first checks.
type readiness struct {
	checking bool      // the first checks are not done,
	until    time.Time // and are waited for until this time
}

// facts are the inputs of readiness.
type facts struct {
	checked, synced bool // every check has run; the table has been complete once
	serves          bool // a real server in the table takes new connections, or the table cannot be read, or is not needed
}

func starting(now time.Time) readiness { return readiness{true, now.Add(readyWithin)} }

// look updates the readiness and returns why the instances must not preempt, "" if they may.
func (r *readiness) look(now time.Time, f facts, log *slog.Logger) string {
	if r.checking && !(f.checked && f.synced) {
		if now.Before(r.until) {
			return notChecked
		}
		log.Warn("first checks or table not done in time; not waiting for them any longer", "after", readyWithin.String())
	}
	r.checking = false
	if !f.serves {
		return noServer
	}
	return ""
}

// wait returns the time until the readiness may change without new facts.
func (r *readiness) wait(now time.Time) time.Duration {
	if !r.checking {
		return time.Hour
	}
	return max(r.until.Sub(now), 0)
}
