package ctl

import (
	"fmt"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/election"
)

// hostFor is the duration of the measurement.
const hostFor = 2 * time.Second

// measureHost waits for timers like an election, one per interval, and returns how late they expired.
func measureHost(interval time.Duration) election.Lateness {
	var l election.Lateness
	due := time.Now()
	timer := time.NewTimer(interval)
	defer timer.Stop()
	for end := due.Add(hostFor); due.Before(end); {
		due = due.Add(interval)
		timer.Reset(time.Until(due))
		<-timer.C
		late := time.Since(due)
		l.Add(late)
		due = due.Add(late.Truncate(interval)) // timers missed in a stall are skipped
	}
	return l
}

// evaluateHost reports whether this machine can keep the shortest advert interval of the file: 99 % of the timers are
// at most a fifth of the interval late, and none is so late that a peer would miss an advert.
func evaluateHost(cfg *config.Config, measure func(interval time.Duration) election.Lateness) (fit bool, line string) {
	shortest := time.Duration(0)
	for _, i := range cfg.Instances {
		if shortest == 0 || i.AdvertInterval < shortest {
			shortest = i.AdvertInterval
		}
	}
	if shortest == 0 {
		return true, "this host: no VRRP instance, nothing to measure"
	}
	// Short intervals give more samples in two seconds, and a machine that can keep 100ms can keep 1s.
	l := measure(min(shortest, 100*time.Millisecond))
	p99 := l.Quantile(.99)
	figures := fmt.Sprintf("of %d timers 99 %% ended at most %s late, the worst %s", l.Count, p99.Round(10*time.Microsecond), l.Max.Round(10*time.Microsecond))
	switch {
	case l.Max >= 2*shortest:
		return false, fmt.Sprintf("this host is not fit for advert_interval %s: it stalled for longer than its peers wait (%s); use a longer interval", shortest, figures)
	case p99 > shortest/5:
		return false, fmt.Sprintf("this host is not fit for advert_interval %s: %s; measure with the priority of the unit (nice -n -20), give the daemon real-time priority (docs/operations.md), or use a longer interval", shortest, figures)
	}
	return true, fmt.Sprintf("this host is fit for advert_interval %s: %s", shortest, figures)
}
