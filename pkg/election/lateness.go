package election

import "time"

// latenessBounds are the upper bounds of the buckets of a Lateness.
var latenessBounds = [...]time.Duration{
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond, time.Second,
}

// Lateness is a histogram of how long after their due time adverts were sent. The zero value is empty.
type Lateness struct {
	Count   uint64
	Max     time.Duration
	Sum     time.Duration                   // of all of them
	buckets [len(latenessBounds) + 1]uint64 // the last one is unbounded
}

// Bucket is one bucket of a Lateness.
type Bucket struct {
	Bound time.Duration // the upper bound of the lateness; 0: unbounded
	Count uint64        // in this bucket only
}

// Add counts one advert.
func (l *Lateness) Add(late time.Duration) {
	late = max(late, 0)
	at := 0
	for at < len(latenessBounds) && late > latenessBounds[at] {
		at++
	}
	l.buckets[at]++
	l.Count++
	l.Sum += late
	l.Max = max(l.Max, late)
}

// Buckets returns all buckets in ascending order.
func (l Lateness) Buckets() []Bucket {
	all := make([]Bucket, len(l.buckets))
	for i, n := range l.buckets {
		all[i].Count = n
		if i < len(latenessBounds) {
			all[i].Bound = latenessBounds[i]
		}
	}
	return all
}

// Quantile returns the q-quantile, q from 0 to 1: the bound of a bucket, or Max if that is less; 0 if there were no
// adverts.
func (l Lateness) Quantile(q float64) time.Duration {
	var sum uint64
	for i, n := range l.buckets {
		sum += n
		if n > 0 && i < len(latenessBounds) && float64(sum) >= q*float64(l.Count) {
			return min(latenessBounds[i], l.Max)
		}
	}
	return l.Max
}
