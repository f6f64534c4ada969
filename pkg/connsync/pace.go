package connsync

import "time"

// ReadEvery is the time from the begin of a reading to that of the next, at least.
const ReadEvery = time.Second

// Pace is what decides when a director reads its connections again.
type Pace struct {
	Took   time.Duration // its last reading
	Others time.Duration // the longest reading of the other directors
	Master bool          // others compare their readings with its own
	Random float64       // in [0, 1)
}

// Every returns the time from the begin of the last reading to that of the next.
//
// It is random: directors that read at a fixed rate can read for ever at moments that cannot be compared. A sixth of the time is
// spent reading, on average. Who reads faster than another director waits for it: a MASTER so that between two of its readings
// a whole one of the other fits (Reading.covers), and all of them so that the last ones that are kept are as old as the reading that
// is heard of when it has ended.
func (p Pace) Every() time.Duration {
	every := max(ReadEvery, p.times(p.Took, 4, 8), p.Others/(keep-3))
	if p.Master && p.Took+2*p.Others > Settled-travel {
		every = max(every, p.Took+travel+p.times(p.Others, 3, 6))
	}
	return every
}

func (p Pace) times(d time.Duration, from, to float64) time.Duration {
	return time.Duration(float64(d) * (from + (to-from)*p.Random))
}

// Slowest returns how long the longest of the last readings of the others took, up to limit.
func (p *Peers) Slowest(now time.Time, limit time.Duration) (longest time.Duration) {
	for _, one := range p.all {
		if one.fresh(now) {
			longest = max(longest, one.Note.Begun-one.Note.Ended)
		}
	}
	return min(longest, limit)
}

const (
	// uncomparedFor is the age that a comparison must have to be a problem, and uncomparedOwn and uncomparedOthers times what the
	// last reading of this director and the slowest of the others took. TestComparable shows that chance does not make it so old.
	uncomparedFor    = 2 * time.Minute
	uncomparedOwn    = 80
	uncomparedOthers = 25
	// uncountedFor is that age while there is no reading to compare.
	uncountedFor = 5 * time.Minute
)

// Uncompared returns since when this director has not been able to compare what it has with what the MASTERs hold, if that is
// longer than chance explains; else zero.
func (p *Peers) Uncompared(now time.Time) time.Time {
	if p.comparing.IsZero() {
		return time.Time{}
	}
	since, limit := p.comparing, uncountedFor
	if p.compared.After(since) {
		since = p.compared
	}
	if n := len(p.own); n > 0 && !p.uncounted(now) {
		last := p.own[n-1]
		limit = uncomparedFor + uncomparedOwn*last.Ended.Sub(last.Begun) + uncomparedOthers*p.Slowest(now, uncountedFor)
	}
	if now.Sub(since) < limit {
		return time.Time{}
	}
	return since
}

// uncounted reports whether a MASTER does not say what it has.
func (p *Peers) uncounted(now time.Time) bool {
	for _, one := range p.all {
		if one.fresh(now) && one.Note.Master && one.Note.Uncounted {
			return true
		}
	}
	return false
}

// mastersHeard keeps since when this director has heard MASTERs without a pause.
func (p *Peers) mastersHeard(now time.Time) {
	for _, one := range p.all {
		if one.fresh(now) && one.Note.Master {
			if p.comparing.IsZero() {
				p.comparing = now
			}
			return
		}
	}
	p.comparing = time.Time{}
}
