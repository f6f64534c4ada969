package checker

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/probe"
)

// HoldFunc connects to a server within limit, calls opened, and keeps the connection until it or ctx ends; see probe.Hold.
type HoldFunc func(ctx context.Context, t probe.Target, limit time.Duration, opened func()) health.Result

const (
	// keptPause is the time before a connection is opened again that ended although its server is up: an idle timeout or a proxy
	// may end it each time.
	keptPause = 10 * time.Second
	// keptTooMany is the same if a check is refused by a limit of its account while a connection is kept, which counts towards
	// the limit.
	keptTooMany = 10 * time.Minute
	// settleTime is for how long a server that failed early must be good before it comes back. One that dies every second does
	// not, because the end of the kept connection makes its successes begin again.
	settleTime = time.Second
)

// kept is the connection that is kept beside a check. Run's goroutine owns it, but for opened.
type kept struct {
	stop   context.CancelFunc // nil: it has ended
	opened atomic.Int64       // when it was established, in nanoseconds of the wall clock; 0: not yet
	ended  Record             // how the latest one ended; zero: none has
	again  time.Time          // not opened before this time
	warned string             // the cause that was logged last
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
}

// Keep makes the checker keep connections for checks that ask for it. It must be called before Run.
func (c *Checker) Keep(hold HoldFunc) { c.hold = hold }

// keep opens the connection of a check that had a result, or closes it.
func (c *Checker) keep(ctx context.Context, k *check, r health.Result, now time.Time) {
	if c.hold == nil || k.retired || !k.id.Check.Keeps() {
		return
	}
	if k.kept == nil {
		k.kept = &kept{}
	}
	switch h := k.kept; {
	case h.stop != nil && r.Code == health.Auth && h.opened.Load() != 0:
		c.warnKept(k, "the check is refused while a connection is kept, and the account may have a limit: "+r.Cause)
		h.again = now.Add(keptTooMany)
		h.letGo()
	case h.stop == nil && r.Class == health.Good && !now.Before(h.again):
		c.open(ctx, k)
	}
}

// open starts the goroutine that keeps the connection of a check.
func (c *Checker) open(ctx context.Context, k *check) {
	h := k.kept
	ctx, h.stop = context.WithCancel(ctx)
	h.opened.Store(0)
	target, limit := targetOf(k.id.Target, k.id.Check), k.id.Check.Timeout
	c.running.Go(func() {
		r := c.askKept(ctx, target, limit, func() { h.opened.Store(time.Now().UnixNano()) })
		select {
		case c.ends <- keptEnd{k, h, r}:
		case <-c.drained:
		}
	})
}

// askKept reads the password of a check and keeps a connection.
func (c *Checker) askKept(ctx context.Context, target probe.Target, limit time.Duration, opened func()) health.Result {
	if file := target.Kind.SecretFile(); file != "" {
		var err error
		if target.Password, err = c.secrets(file); err != nil {
			return health.Result{Code: health.Secret, Cause: fmt.Sprintf("%s: %v", target.Kind.Type(), err)}
		}
	}
	return c.hold(ctx, target, limit, opened)
}

// letGo closes the connection.
func (h *kept) letGo() {
	if h != nil && h.stop != nil {
		h.stop()
	}
}

// keptEnded processes the end of a connection. If the server ended it, the check is made at once.
func (c *Checker) keptEnded(e keptEnd, now time.Time) {
	k, h := e.check, e.of
	established := h.opened.Load() != 0
	h.stop()
	h.stop = nil
	h.opened.Store(0)
	if k.retired || k.kept != h {
		return
	}
	h.ended = Record{now, e.result}
	if !e.result.Said() {
		h.again = latest(h.again, now.Add(keptPause))
		if e.result.Class == health.Unknown && !established {
			c.warnKept(k, e.result.Cause)
		}
		return
	}
	k.state = k.state.Interrupted(k.settle())
	if k.state.Up() {
		c.log.Info("the server ended its kept connection; checking at once", "server", k.names(), "cause", e.result.Cause)
		c.checkEarly(k)
	}
	for _, user := range k.users {
		c.publish(user)
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// warnKept logs once for each cause that no connection is kept.
func (c *Checker) warnKept(k *check, cause string) {
	if k.kept.warned == cause {
		return
	}
	k.kept.warned = cause
	c.log.Warn("no connection to the server is kept; its failure is noticed by the next checks", "server", k.names(), "cause", cause)
}

// checkEarly makes as many checks as may take the server out, one after the other.
func (c *Checker) checkEarly(k *check) {
	k.early = int8(min(max(k.id.Check.Fall, 1), 100))
	if k.attempt == nil {
		c.enqueue(k)
	} // else finish makes the next one
}

// takeEarly applies the result of a check that was made ahead of its time.
func (c *Checker) takeEarly(k *check, r health.Result, now time.Time) {
	next, counts := k.state.StepEarly(now, r, k.settle())
	if counts && r.Said() && next.Up() && k.early > 0 { // the next check follows at once: a verdict in between would delay its verdict
		c.logChecked(k, r)
		k.state = next
		k.history.add(now, r)
		return
	}
	if counts {
		c.warn(k, r, now)
		c.become(k, r, next, now)
	} else {
		c.logChecked(k, r)
		k.history.add(now, r)
	}
	if !r.Said() {
		k.early = 0
	}
	if k.state.Up() && k.early == 0 { // it ends connections and lives
		k.kept.again = latest(k.kept.again, now.Add(keptPause))
	}
}

// settle is how many good checks in a row show that a server has been good for settleTime.
func (k *check) settle() int {
	return int((settleTime+k.id.Check.Interval-1)/k.id.Check.Interval) + 1
}

// explain describes the connection; h may be nil.
func (h *kept) explain() Kept {
	if h == nil {
		return Kept{}
	}
	e := Kept{Ended: h.ended, Again: h.again}
	if at := h.opened.Load(); at != 0 {
		e.Since = time.Unix(0, at)
	}
	return e
}
