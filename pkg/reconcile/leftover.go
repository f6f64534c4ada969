package reconcile

import (
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// leftover is an address that could not be removed. Until its lease expires, this machine would answer for it as well
// as the new MASTER.
type leftover struct {
	retry time.Duration // earliest next attempt
	fails int
}

// addLeftover records an address that could not be removed and schedules the next attempt.
func (a *Addresses) addLeftover(at kernel.IfAddr) {
	l := a.leftovers[at]
	if l == nil {
		l = &leftover{}
		a.leftovers[at] = l
	}
	l.retry = a.now() + backoff(l.fails)
	l.fails++
}

// retryLeftovers retries the removal of leftovers, except those that an instance wants again, and returns the time
// until the next attempt is due.
func (a *Addresses) retryLeftovers() (next time.Duration) {
	next = time.Hour
	for at, l := range a.leftovers {
		if !a.stopping && a.wantedBy(at.Interface, at.Prefix, func(config.InstanceID) bool { return true }) {
			delete(a.leftovers, at)
			continue
		}
		if a.now() >= l.retry || a.stopping {
			if err := a.removeFromKernel(at.Interface, at.Prefix); err == nil {
				a.log.Info("removed a VIP that could not be removed before", "interface", at.Interface, "vip", at.Prefix.String())
				delete(a.leftovers, at)
				continue
			}
			a.addLeftover(at)
		}
		next = min(next, l.retry-a.now())
	}
	return max(next, 0)
}

// backoff is the pause after one more failure, when fails failed in a row before it.
func backoff(fails int) time.Duration { return min(retryMin<<min(fails, 10), retryMax) }
