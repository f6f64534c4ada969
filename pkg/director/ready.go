package director

import (
	"log/slog"
	"time"
)

// readyWithin bounds how long a director leaves a lower-priority MASTER alone because its own first checks are not done, or
// have found nobody.
const readyWithin = 30 * time.Second

// Why a director is not ready.
const (
	notChecked = "the first health checks are not done"
	noServer   = "no check has found a real server that is up"
	returned   = "the interface is back, and no real server has answered since"
)

// readiness says whether the instances may preempt: once every check has run, the table stands, and it has a real server.
// A director that reaches none, perhaps because its own network is not up yet, would take the VIP from one that serves. It
// is arithmetic over a clock; the zero value is ready.
type readiness struct {
	reason string
	until  time.Time
}

// facts are what a readiness depends on.
type facts struct {
	checked, synced bool // every check has run, the table has stood once
	serves          bool // the table has a real server, or nobody knows, or none is wanted
}

func starting(now time.Time) readiness { return readiness{notChecked, now.Add(readyWithin)} }

// back takes note of an interface that came back. While it was away the checks found nobody: without a real server this
// director would take the VIP from one that serves and have nobody to send the clients to.
func (r *readiness) back(now time.Time, f facts) {
	if !f.serves {
		*r = readiness{returned, now.Add(readyWithin)}
	}
}

// look takes in how things stand now, and returns why the instances are not to preempt, "" when they may.
func (r *readiness) look(now time.Time, f facts, log *slog.Logger) string {
	standing := f.checked && f.synced
	switch late := !now.Before(r.until); {
	case r.reason == "":
	case late && !standing && r.reason == notChecked:
		log.Warn("first checks or table not done in time; taking part in elections all the same", "after", readyWithin.String())
		r.reason = ""
	case late:
		log.Warn("no real server is up; taking part in elections all the same", "after", readyWithin.String())
		r.reason = ""
	case r.reason == notChecked && !standing:
	case f.serves:
		r.reason = ""
	case r.reason == notChecked:
		r.reason = noServer
	}
	return r.reason
}

// wait is how long nothing changes by itself.
func (r *readiness) wait(now time.Time) time.Duration {
	if r.reason == "" {
		return time.Hour
	}
	return max(r.until.Sub(now), 0)
}
