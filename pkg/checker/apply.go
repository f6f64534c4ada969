package checker

import (
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
)

// apply updates the checks to match specs.
func (c *Checker) apply(specs []Spec, now time.Time) {
	before, known := c.subjects, c.remembered()
	c.subjects = last(specs)
	gone := before.without(c.subjects)
	for k := range c.checks.all() {
		k.users = nil
	}
	shown := &board{at: c.subjects.at, cells: make([]cell, len(c.subjects.all))}
	var fresh []*check
	for n := range c.subjects.all {
		s := &c.subjects.all[n]
		s.cell = &shown.cells[n]
		spec := *s.spec
		old := before.of(spec.Subject)
		if old == nil {
			old = gone.take(spec)
		}
		if old == nil {
			old = before.twin(spec)
		}
		resumes := false
		if old != nil {
			s.follow(old)
			resumes = old.spec.Suspended && s.wasServed
		}
		if spec.Suspended {
			continue
		}
		for _, wanted := range spec.Checks {
			k, isNew := c.ensure(spec, wanted)
			if isNew {
				k.state = known.resume(spec, wanted, now)
				k.due = now.Add(k.id.Check.Warmup + stagger(len(fresh), k.id.Check.Interval))
				c.agenda.add(event{at: k.due, what: due, check: k})
				fresh = append(fresh, k)
			}
			if spec.Served || isNew && resumes {
				k.state = k.state.Served() // even if it is shared with servers that were not in the table
			}
			k.users = append(k.users, s)
			s.checks = append(s.checks, k)
		}
	}
	scatter(fresh)
	c.count, c.scarce = 0, false
	for k := range c.checks.all() {
		c.count++
		if k.retired = len(k.users) == 0; k.retired {
			k.kept.letGo()
		}
		if k.retired && k.attempt == nil {
			c.checks.remove(k)
		}
	}
	c.show(shown)
	c.lookReady()
}

// show fills a board, publishes it to readers, and reports changed verdicts. Thousands of servers start with the same
// verdict, which is stored once.
func (c *Checker) show(b *board) {
	var same *health.Verdict
	for n := range c.subjects.all {
		s := &c.subjects.all[n]
		if v := s.verdict(); same == nil || *same != v {
			same = &v
		}
		s.cell.Store(same)
	}
	c.board.Store(b)
	for n := range c.subjects.all {
		c.publish(&c.subjects.all[n])
	}
}

// ensure returns the check for one check of a Spec, and whether it has to be started.
func (c *Checker) ensure(spec Spec, wanted config.Check) (k *check, isNew bool) {
	if wanted.Interval <= 0 { // a validated configuration has an interval; without one the loop would spin
		wanted.Interval = time.Second
	}
	if wanted.Timeout <= 0 || wanted.Timeout > wanted.Interval {
		wanted.Timeout = wanted.Interval
	}
	id := spec.CheckID(wanted)
	k = c.checks.find(id)
	known := k != nil
	if !known {
		k = &check{id: id, number: c.made}
		c.made++
		c.checks.add(k)
	}
	// A check that was removed while its probe ran is new when it returns, but must wait for that probe.
	isNew = !known || k.retired
	if isNew {
		k.retired, k.answered, k.owed = false, false, false
	}
	return k, isNew
}

// last returns the subjects of specs, in their order, each with its last Spec.
func last(specs []Spec) subjects {
	s := subjects{at: make(map[config.Subject]int, len(specs)), all: make([]subject, 0, len(specs))}
	for n := range specs {
		spec := &specs[n]
		if old := s.of(spec.Subject); old != nil {
			old.spec = spec
			continue
		}
		s.at[spec.Subject] = len(s.all)
		s.all = append(s.all, subject{spec: spec})
	}
	return s
}

// stagger is the delay of the n-th new check.
func stagger(n int, interval time.Duration) time.Duration {
	if n < atOnce {
		return 0
	}
	return time.Duration(n-atOnce+1) * spread % interval
}

// scatter spreads the second probes of many new checks, whose first ones start close together, over half of the
// interval, so that bursts of probes do not take CPU time from the election.
func scatter(fresh []*check) {
	if len(fresh) <= atOnce {
		return
	}
	for n, k := range fresh {
		k.advance = time.Duration(n) * k.id.Check.Interval / time.Duration(2*len(fresh))
	}
}
