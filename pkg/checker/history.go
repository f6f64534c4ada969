package checker

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
)

// failuresKept is how many results of a check are kept that were not good. Good ones are counted only, but for the last.
const failuresKept = 8

// Record is a result and when it came.
type Record struct {
	At time.Time
	health.Result
}

// history is what is remembered of the results of a check, in addition to its state. There are many thousands.
type history struct {
	total, good, inconclusive uint32
	failures                  *[]Record // those that were not good, the oldest first, at most failuresKept; nil: none yet
}

func (h *history) add(at time.Time, r health.Result) {
	h.total++
	switch r.Class {
	case health.Good:
		h.good++
		return
	case health.Unknown:
		h.inconclusive++
	}
	if h.failures == nil {
		h.failures = new([]Record)
	}
	if len(*h.failures) >= failuresKept {
		*h.failures = slices.Delete(*h.failures, 0, 1)
	}
	*h.failures = append(*h.failures, Record{at, r})
}

// Explained is a check of a subject, with what is known about it.
type Explained struct {
	Target netip.AddrPort // invalid for a check of no address
	Check  config.Check
	State  health.State
	// Next is when it is made next.
	Next time.Time
	// Total is how many results it had since it was added (modulo 2^32), Good how many of them were good, and Inconclusive how many said
	// nothing about the server.
	Total, Good, Inconclusive uint32
	// Last is the latest result; its time is zero before the first one.
	Last Record
	// Kept is the connection that is kept beside the checks.
	Kept Kept
	// Failures are the latest results that were not good, the oldest first.
	Failures []Record
}

// Explanation is the verdict about a subject and the checks that it comes from.
type Explanation struct {
	Verdict health.Verdict
	Needed  int // how many of Checks must pass; 0: all
	Checks  []Explained
}

// Explain returns how the verdict about a subject came about; false if nothing with that name is checked. It waits for Run
// until ctx ends.
func (c *Checker) Explain(ctx context.Context, subject config.Subject) (e Explanation, found bool, err error) {
	done := make(chan struct{})
	look := func() {
		defer close(done)
		s := c.subjects.of(subject)
		if found = s != nil; !found {
			return
		}
		e = Explanation{Verdict: s.verdict(), Needed: s.spec.AtLeast}
		for _, k := range s.checks {
			e.Checks = append(e.Checks, k.explain())
		}
	}
	select {
	case c.looks <- look: // Run has it, and does not wait for anything before it is done
	case <-ctx.Done():
		return e, false, ctx.Err()
	}
	<-done
	return e, found, nil
}

func (k *check) explain() Explained {
	h := k.history
	e := Explained{
		Target: k.id.Target, Check: k.id.Check, State: k.state, Next: k.due, Total: h.total, Good: h.good, Inconclusive: h.inconclusive,
		Kept: k.kept.explain(),
	}
	e.Last.Result, e.Last.At = k.state.Last()
	if h.failures != nil {
		e.Failures = slices.Clone(*h.failures)
	}
	return e
}
