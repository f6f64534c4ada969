package director

import (
	"fmt"
	"time"

	"github.com/lvs-director/lvs-director/pkg/election"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// manyLate is the number of recent adverts that must have been late. A single one may be due to a stall, after which this
// host is as fast as before.
const manyLate = 2

func lateness(l election.Lateness) *status.Lateness {
	if l.Count == 0 {
		return nil
	}
	s := &status.Lateness{Count: l.Count, P99: milliseconds(l.Quantile(.99)), Max: milliseconds(l.Max), Sum: milliseconds(l.Sum)}
	for _, b := range l.Buckets() {
		s.Buckets = append(s.Buckets, status.LatenessBucket{Bound: milliseconds(b.Bound), Count: b.Count})
	}
	return s
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// tooLate returns the problem of adverts that are sent so late that a little more load would cause a failover.
func tooLate(instance string, s *election.Snapshot) []problem.Finding {
	if s.Late.Late < manyLate {
		return nil
	}
	return []problem.Finding{{Code: problem.AdvertsLate, Subject: instance, Text: fmt.Sprintf(
		"%s: %d of the last %d adverts were sent more than a fifth of the interval of %s late, the latest by %s: this host is too busy or too slow for that "+
			"(give the daemon the priority of the shipped unit, or raise advert_interval)",
		instance, s.Late.Late, s.Late.Adverts, s.AdvertInterval, s.Late.Worst.Round(time.Millisecond))}}
}
