package checker

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
)

// durationBounds are the upper bounds of the buckets of Durations.
var durationBounds = [...]time.Duration{
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond,
	200 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second,
}

// Durations is a histogram of how long checks took. The zero value is empty.
type Durations struct {
	Sum     time.Duration
	buckets [len(durationBounds) + 1]uint64 // the last one is unbounded
}

func (d *Durations) add(took time.Duration) {
	took = max(took, 0)
	at := 0
	for at < len(durationBounds) && took > durationBounds[at] {
		at++
	}
	d.buckets[at]++
	d.Sum += took
}

// Buckets yields the upper bound of each bucket in ascending order, and how many checks are in this bucket only. The last bound is 0:
// unbounded.
func (d *Durations) Buckets(yield func(bound time.Duration, count uint64) bool) {
	for i, n := range d.buckets {
		var bound time.Duration
		if i < len(durationBounds) {
			bound = durationBounds[i]
		}
		if !yield(bound, n) {
			return
		}
	}
}

// Total is what the checks of a subject have had for results since they were added, modulo 2^32 for each check.
type Total struct {
	Subject                 config.Subject
	Good, Bad, Inconclusive uint64
	Took                    time.Duration // the longest of the last results; 0 before the first
}

// Totals are the results of all checks.
type Totals struct {
	Subjects  []Total // in the order of the cluster file
	Durations []TypeDurations
}

// TypeDurations is the histogram of the checks of a type, since the start.
type TypeDurations struct {
	Type config.CheckType
	Durations
}

// Totals returns the results of all checks. It waits for Run until ctx ends.
func (c *Checker) Totals(ctx context.Context) (t Totals, err error) {
	done := make(chan struct{})
	look := func() {
		defer close(done)
		t.Subjects = make([]Total, 0, len(c.subjects.all))
		for i := range c.subjects.all {
			t.Subjects = append(t.Subjects, c.subjects.all[i].total())
		}
		for _, kind := range slices.Sorted(maps.Keys(c.durations)) {
			t.Durations = append(t.Durations, TypeDurations{kind, *c.durations[kind]})
		}
	}
	select {
	case c.looks <- look: // Run has it, and does not wait for anything before it is done
	case <-ctx.Done():
		return t, ctx.Err()
	}
	<-done
	return t, nil
}

func (s *subject) total() Total {
	t := Total{Subject: s.spec.Subject}
	for _, k := range s.checks {
		h := k.history
		t.Good += uint64(h.good)
		t.Inconclusive += uint64(h.inconclusive)
		t.Bad += uint64(h.total - h.good - h.inconclusive)
		if r, at := k.state.Last(); !at.IsZero() {
			t.Took = max(t.Took, r.Took)
		}
	}
	return t
}

// measure counts how long a check took.
func (c *Checker) measure(k *check, r health.Result) {
	kind := k.id.Check.Kind.Type()
	d := c.durations[kind]
	if d == nil {
		d = new(Durations)
		c.durations[kind] = d
	}
	d.add(r.Took)
}
