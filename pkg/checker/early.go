package checker

import (
	"time"

	"github.com/lvs-director/lvs-director/pkg/health"
)

// checkEarly makes a check at once, because the server has ended the kept connection: as many as may take the server out, one
// after the other, or one that may make the successes of a server that is down begin again.
func (c *Checker) checkEarly(k *check) {
	k.early = 1
	if k.state.Up() {
		k.early = int8(min(max(k.id.Check.Fall, 1), 100))
	}
	if k.attempt == nil {
		c.enqueue(k)
	} // else finish makes the next one
}

// applyResult applies a result to the check of an attempt.
func (c *Checker) applyResult(a *attempt, r health.Result, now time.Time) {
	k := a.check
	switch passes := r.Class == health.Good || r.Class == health.Full; {
	case c.doubt(a, r, now):
		c.note(k, r, now)
	case a.follows:
		c.takeFollowing(a, r, now)
	case k.early > 0 && passes && k.state.Known() && !k.state.Up():
		c.note(k, r, now) // it is older than the end of the connection, and must not bring a server back that may have died
	default:
		c.take(k, r, now)
	}
	if !k.state.Up() {
		k.early = min(k.early, 1)
	}
}

// note records a result that does not count.
func (c *Checker) note(k *check, r health.Result, now time.Time) {
	c.logChecked(k, r)
	k.history.add(now, r)
}

// takeFollowing applies the result of a check that was started because the server had ended the kept connection.
func (c *Checker) takeFollowing(a *attempt, r health.Result, now time.Time) {
	k := a.check
	if a.early {
		c.takeEarly(k, r, now)
	} else {
		c.take(k, r, now)
	}
	switch h := k.kept; {
	case !r.Said(): // it ends connections and lives, or is silent
		k.early = 0
		h.rest(now)
		if h.unopened > 0 && r.Class == health.Good {
			c.warnKept(k, h.ended.Cause)
		}
	case !k.state.Up():
		k.early, k.state = 0, k.state.Interrupted(k.settle())
	}
}

// takeEarly applies the result of a check that was made ahead of its time.
func (c *Checker) takeEarly(k *check, r health.Result, now time.Time) {
	next, counts := k.state.StepEarly(now, r, k.settle())
	switch {
	case !counts:
		c.note(k, r, now)
	case r.Said() && next.Up() && k.early > 0: // the next check follows at once: a verdict in between would delay its verdict
		k.state = next
		c.note(k, r, now)
	default:
		c.warn(k, r, now)
		c.become(k, r, next, now)
	}
}

// settle is how many good checks in a row show that a server has been good for settleTime.
func (k *check) settle() int {
	return int((settleTime+k.id.Check.Interval-1)/k.id.Check.Interval) + 1
}
