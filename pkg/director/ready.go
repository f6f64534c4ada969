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
	cold       = "it has not yet learned the connections of the MASTER"
)

// readiness decides whether the instances may preempt: once every check has run and the table is complete, and while a real
// server in the table takes new connections. A director that reaches no real server, perhaps because its own network is not
// up, or whose servers are drained, would take the VIP from a working director and refuse the clients. If there is no
// MASTER, a director takes over regardless. After a start they wait for the connections of the MASTER, too, which would
// break. readiness reads no clock; the zero value is past its first checks, and warm.
type readiness struct {
	checking bool          // the first checks are not done,
	until    time.Time     // and are waited for until this time
	cold     bool          // the MASTER's connections have not been learned,
	begun    time.Time     // since this time,
	within   time.Duration // and are waited for for so long
}

// facts are the inputs of readiness.
type facts struct {
	checked, synced bool // every check has run; the table has been complete once
	serves          bool // a real server in the table takes new connections, or the table cannot be read, or is not needed
	warm            bool // the MASTER's connections have been learned once, or none are synchronized
	warmWithin      time.Duration
	master          bool // another director is MASTER: there are connections to learn. It is read only while they have not been
}

func starting(now time.Time) readiness {
	return readiness{checking: true, until: now.Add(readyWithin), cold: true, begun: now}
}

// look updates the readiness and returns why the instances must not preempt, "" if they may.
func (r *readiness) look(now time.Time, f facts, log *slog.Logger) string {
	if r.checking && !(f.checked && f.synced) {
		if now.Before(r.until) {
			return notChecked
		}
		log.Warn("first checks or table not done in time; not waiting for them any longer", "after", readyWithin.String())
	}
	r.checking = false
	r.within = f.warmWithin
	switch {
	case r.cold && f.warm:
		r.cold = false
	case r.cold && now.Sub(r.begun) >= r.within:
		if f.master { // without one there was nothing to learn
			log.Warn("the connections of the MASTER were not learned in time; not waiting for them any longer", "after", r.within.String())
		}
		r.cold = false
	}
	switch {
	case !f.serves:
		return noServer
	case r.cold:
		return cold
	}
	return ""
}

// wait returns the time until the readiness may change without new facts.
func (r *readiness) wait(now time.Time) time.Duration {
	switch {
	case r.checking:
		return max(r.until.Sub(now), 0)
	case r.cold:
		return max(r.within-now.Sub(r.begun), 0)
	}
	return time.Hour
}
