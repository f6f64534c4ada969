package election

import "time"

// stallLogEvery limits how often a stall is logged, for a host that is always late; the histogram counts every stall.
const stallLogEvery = 10 * time.Second

// Late says how many of the adverts of the recent past (recentFor) were sent late enough to be a concern.
type Late struct {
	Adverts int           // those that were due
	Late    int           // those sent more than a fifth of the interval after their due time
	Worst   time.Duration // of those adverts, the largest delay
}

// recentFor returns for how long an observation on the network counts: three advert intervals, and at least 4 s, so that
// a problem that has ended is no longer reported 5 s or three intervals later.
func recentFor(interval time.Duration) time.Duration { return max(4*time.Second, 3*interval) }

// lateAdverts are the delays of the recent adverts. Times are of any one clock. The zero value is ready for use.
type lateAdverts struct {
	all []lateAdvert
}

type lateAdvert struct{ at, late time.Duration }

// add records an advert that was sent at now.
func (l *lateAdverts) add(now, late, interval time.Duration) {
	l.prune(now, interval)
	l.all = append(l.all, lateAdvert{now, late})
}

func (l *lateAdverts) prune(now, interval time.Duration) {
	old := 0
	for old < len(l.all) && now-l.all[old].at > recentFor(interval) {
		old++
	}
	l.all = l.all[:copy(l.all, l.all[old:])]
}

// count returns the counts for the window that ends now.
func (l *lateAdverts) count(now, interval time.Duration) (c Late) {
	l.prune(now, interval)
	c.Adverts = len(l.all)
	for _, a := range l.all {
		c.Worst = max(c.Worst, a.late)
		if a.late > interval/5 {
			c.Late++
		}
	}
	return c
}
