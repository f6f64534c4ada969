package checker

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/probe"
)

// HoldFunc connects to a server within limit, calls opened, and keeps the connection until it or until ends, or ctx does, which
// also ends a login that is on its way; see probe.Hold. until ends with ctx at the latest.
type HoldFunc func(ctx, until context.Context, t *probe.Target, limit time.Duration, opened func()) health.Result

const (
	// keptPause is the time before a connection is opened again that ended although its server is up: an idle timeout or a proxy
	// may end it each time. The pause is doubled each time, up to keptLongest.
	keptPause = 10 * time.Second
	// keptLongest is also the pause after a connection that is in the way of the check: where the account or the server takes only
	// one. A connection that lasted so long makes the pauses begin again.
	keptLongest = 10 * time.Minute
	// keptReserve is how many file descriptors kept connections leave to the director, beside one for each check: for the sockets of
	// the elections, the kernel's interfaces, lvsctl, and the files that checks read.
	keptReserve = 256
	// closedTime is how long a server has to notice that its connection is closed before the check is made without it.
	closedTime = 100 * time.Millisecond
	// settleTime is for how long a server that failed early must be good before it comes back. One that dies every second does
	// not, because the end of the kept connection makes its successes begin again.
	settleTime = time.Second
)

// kept is the connection that is kept beside a check. Run's goroutine owns it, but for opened.
type kept struct {
	stop   context.CancelFunc // nil: it has ended
	opened atomic.Int64       // when it was established, in nanoseconds of the wall clock; 0: not yet

	// Of the connection that is open.
	leaving bool  // it is being closed here
	suspect bool  // it is being closed because it may be in the way of the check, which is then made without it
	proven  bool  // a check has passed beside it
	failed  uint8 // how many checks in a row failed beside it, at most 2

	// Of those before.
	ended    Record        // how the latest one ended; zero: none has
	unopened uint8         // how many in a row ended before they were established, at most 2
	pause    time.Duration // the latest pause; 0: none
	again    time.Time     // not opened before this time
	warned   string        // the cause that was logged last
}

// keptEnd is that a connection has ended.
type keptEnd struct {
	check  *check
	of     *kept
	result health.Result
}

// Kept describes the connection that is kept beside a check. The zero value is none.
type Kept struct {
	Since time.Time // when it was opened; zero: it is not open
	Ended Record    // how the one before ended; its time is zero if there was none
	Again time.Time // no other is opened before this time
	// Why says why none is kept although the check passes, as it was logged; "" for no such reason, or if it was logged for an earlier
	// connection than the latest.
	Why string
}

// Keep makes the checker keep connections for checks that ask for it. files returns how many file descriptors the process may
// have. It must be called before Run.
func (c *Checker) Keep(hold HoldFunc, files func() int) { c.hold, c.files = hold, files }

// keep opens the connection of a check that was good.
func (c *Checker) keep(ctx context.Context, k *check, now time.Time) {
	if c.hold == nil || k.retired || !k.id.Check.Keeps() {
		return
	}
	if k.kept == nil {
		k.kept = &kept{}
	}
	h := k.kept
	switch {
	case h.stop != nil || now.Before(h.again):
	case c.kept >= c.files()-keptReserve-c.count:
		h.again = now.Add(keptPause)
		h.warned = fmt.Sprintf("this director may have %d open files, which are not enough for more connections (raise LimitNOFILE)", c.files())
		if !c.scarce {
			c.scarce = true
			c.log.Warn("no connection to some servers is kept; their failure is noticed by the next checks", "server", k.names(), "kept", c.kept, "cause", h.warned)
		}
	default:
		c.open(ctx, k)
	}
}

// open starts the goroutine that keeps the connection of a check.
func (c *Checker) open(ctx context.Context, k *check) {
	h := k.kept
	until, stop := context.WithCancel(ctx)
	h.stop, h.leaving, h.suspect, h.proven, h.failed = stop, false, false, false, 0
	h.opened.Store(0)
	c.kept++
	target, limit := targetOf(k.id.Target, k.id.Check), k.id.Check.Timeout
	c.running.Go(func() {
		r := c.askKept(ctx, until, target, limit, func() { h.opened.Store(time.Now().UnixNano()) })
		select {
		case c.ends <- keptEnd{k, h, r}:
		case <-c.drained:
		}
	})
}

// askKept reads the password of a check and keeps a connection.
func (c *Checker) askKept(ctx, until context.Context, target *probe.Target, limit time.Duration, opened func()) health.Result {
	if file := target.Kind.SecretFile(); file != "" {
		var err error
		if target.Password, err = c.secrets(file); err != nil {
			return health.Result{Code: health.Secret, Cause: fmt.Sprintf("%s: %v", target.Kind.Type(), err)}
		}
	}
	return c.hold(ctx, until, target, limit, opened)
}

// isOpen reports whether it is established, and neither it nor the director has ended it; h may be nil.
func (h *kept) isOpen() bool { return h != nil && h.stop != nil && !h.leaving && h.opened.Load() != 0 }

// letGo closes the connection, if there is one; h may be nil. A login that is on its way is finished first: the server would
// count one that is broken off as an aborted connection.
func (h *kept) letGo() {
	if h != nil && h.stop != nil {
		h.leaving = true
		h.stop()
	}
}

// rest puts off the next connection, each time for twice as long.
func (h *kept) rest(now time.Time) {
	h.pause = min(max(2*h.pause, keptPause), keptLongest)
	h.again = now.Add(h.pause)
}

// restLongest puts off the next connection for as long as possible.
func (h *kept) restLongest(now time.Time) {
	h.pause = keptLongest
	h.rest(now)
}

// doubt closes the connection if it may be the reason of a result of its check, which was made beside it, and reports whether
// the result does not count, because the check will be made again without it.
func (c *Checker) doubt(a *attempt, r health.Result, now time.Time) (uncounted bool) {
	k, h := a.check, a.check.kept
	if !a.beside || !h.isOpen() {
		return false
	}
	switch {
	case r.Class == health.Good:
		h.proven, h.failed, h.warned = true, 0, ""
		return false
	case r.Code == health.Limited:
		c.warnKept(k, "the check is refused while a connection is kept, which counts towards the limit of its account: "+r.Cause)
		h.restLongest(now)
		h.letGo()
		h.suspect = true
		return true
	case r.Class == health.Unknown, r.Code == health.Shutdown: // what it says is true whatever is kept
		return false
	}
	h.failed = min(h.failed+1, 2)
	switch full := r.Class == health.Full; {
	case k.state.Up() && !h.proven:
		c.warnKept(k, "the check fails while a connection is kept, and the server, or a filter before it, may take only one: "+r.Cause)
		h.restLongest(now)
		h.letGo()
		h.suspect = r.Said() || full // silence counts: a server that is gone must not stay for longer
	case h.failed >= 2 && (full || !k.state.Up()): // it ends by itself if the process has died
		h.rest(now)
		h.letGo()
	}
	return h.suspect
}

// keptEnded processes the end of a connection. If the server ended it, the check is made at once.
func (c *Checker) keptEnded(e keptEnd, now time.Time) {
	k, h := e.check, e.of
	opened := h.opened.Load()
	h.stop()
	h.stop = nil
	h.opened.Store(0)
	c.kept--
	if opened == 0 {
		h.unopened = min(h.unopened+1, 2)
	} else if h.unopened = 0; now.Sub(time.Unix(0, opened)) >= keptLongest {
		h.pause = 0
	}
	said := e.result.Said()
	switch {
	case k.retired:
		return
	case !said && h.suspect:
		c.recheck(k, now.Add(closedTime))
		return
	case !said && h.leaving:
		return
	}
	h.ended = Record{now, e.result}
	switch {
	case said && opened != 0:
		if k.state.Up() {
			c.log.Info("the server ended its kept connection; checking at once", "server", k.names(), "cause", e.result.Cause)
		}
		c.checkEarly(k)
	case said && h.unopened < 2 && !k.state.Up():
		c.checkEarly(k) // it may have died after the check
	default:
		// While it is up, a refused connection is no sign that it has died: a filter that lets one connection through may still count
		// the one of the check, and refuse the next checks, too.
		h.rest(now)
		if opened == 0 || e.result.Class == health.Unknown {
			c.warnKept(k, e.result.Cause)
		}
	}
}

// warnKept logs once for each cause that no connection is kept.
func (c *Checker) warnKept(k *check, cause string) {
	if k.kept.warned == cause {
		return
	}
	k.kept.warned = cause
	c.log.Warn("no connection to the server is kept; its failure is noticed by the next checks", "server", k.names(), "cause", cause)
}

// explain describes the connection; h may be nil.
func (h *kept) explain() Kept {
	if h == nil {
		return Kept{}
	}
	if at := h.opened.Load(); at != 0 {
		return Kept{Ended: h.ended, Since: time.Unix(0, at)}
	}
	return Kept{Ended: h.ended, Again: h.again, Why: h.warned}
}
