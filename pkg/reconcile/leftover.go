package reconcile

import (
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// leftover is an address that could not be removed. Its lease ends, but until then this machine would answer for it beside
// the new MASTER.
type leftover struct {
	retry time.Duration // not before
	fails int
}

// leave takes note of an address that could not be removed just now.
func (a *Addresses) leave(at kernel.IfAddr) {
	l := a.left[at]
	if l == nil {
		l = &leftover{}
		a.left[at] = l
	}
	l.retry = a.now() + backoff(l.fails)
	l.fails++
}

// clear tries again to remove what is left, unless somebody wants it by now, and returns how long nothing of it is due.
func (a *Addresses) clear() (next time.Duration) {
	next = time.Hour
	for at, l := range a.left {
		if !a.stopping && a.wantedBy(at.Interface, at.Prefix, func(config.InstanceID) bool { return true }) {
			delete(a.left, at)
			continue
		}
		if a.now() >= l.retry || a.stopping {
			if err := a.take(at.Interface, at.Prefix); err == nil {
				a.log.Info("a VIP that could not be removed is gone", "interface", at.Interface, "vip", at.Prefix.String())
				delete(a.left, at)
				continue
			}
			a.leave(at)
		}
		next = min(next, l.retry-a.now())
	}
	return max(next, 0)
}

// backoff is the pause after so many failures in a row.
func backoff(fails int) time.Duration { return min(retryLeast<<min(fails, 10), retryMost) }
