package director

import (
	"log/slog"
	"time"
)

// readyWithin bounds how long a director leaves a lower-priority MASTER alone because its own first checks are not done.
const readyWithin = 30 * time.Second

// Why a director is not ready.
const (
	notChecked = "the first health checks are not done"
	noServer   = "no check has found a real server that is up"
)

// readiness says whether the instances may preempt: once every check has run, the table stands, and while it has a real
// server. A director that reaches none, perhaps because its own network is not up, would take the VIP from one that serves
// and have nobody to send the clients to. A VIP that nobody holds is taken whatever this says. It is arithmetic over a clock;
// the zero value has done its checks.
type readiness struct {
	checking bool      // the first checks are not done
	until    time.Time // then; they are no longer waited for
}

// facts are what a readiness depends on.
type facts struct {
	checked, synced bool // every check has run, the table has stood once
	serves          bool // the table has a real server, or nobody knows, or none is wanted
}

func starting(now time.Time) readiness { return readiness{true, now.Add(readyWithin)} }

// look takes in how things stand now, and returns why the instances are not to preempt, "" when they may.
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

// wait is how long nothing changes by itself.
func (r *readiness) wait(now time.Time) time.Duration {
	if !r.checking {
		return time.Hour
	}
	return max(r.until.Sub(now), 0)
}
