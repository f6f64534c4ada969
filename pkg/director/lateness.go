package director

import (
	"fmt"
	"time"

	"github.com/lvs-director/lvs-director/pkg/election"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// enoughAdverts is the minimum number of adverts for a meaningful 99th percentile.
const enoughAdverts = 100

func lateness(l election.Lateness) *status.Lateness {
	if l.Count == 0 {
		return nil
	}
	s := &status.Lateness{Count: l.Count, P99: milliseconds(l.Quantile(.99)), Max: milliseconds(l.Max)}
	for _, b := range l.Buckets() {
		s.Buckets = append(s.Buckets, status.LatenessBucket{Bound: milliseconds(b.Bound), Count: b.Count})
	}
	return s
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// tooLate returns the problem of adverts that are sent so late that a little more load would cause a failover.
func tooLate(instance string, s election.Snapshot) []problem.Finding {
	p99 := s.Lateness.Quantile(.99)
	if s.Lateness.Count < enoughAdverts || p99 <= s.AdvertInterval/5 {
		return nil
	}
	return []problem.Finding{{Code: problem.AdvertsLate, Subject: instance, Text: fmt.Sprintf(
		"%s: 1 %% of the adverts are sent %s late or later, at an interval of %s: this host is too busy or too slow for that "+
			"(give the daemon the priority of the shipped unit, or raise advert_interval)", instance, p99.Round(time.Millisecond), s.AdvertInterval)}}
}
