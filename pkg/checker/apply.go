package checker

import (
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
)

// apply brings the checks to what Set wants.
func (c *Checker) apply(specs []Spec, now time.Time) {
	before, known := c.subjects, c.remembered()
	c.subjects = last(specs)
	for k := range c.checks.all() {
		k.users = nil
	}
	shown := &board{at: c.subjects.at, cells: make([]cell, len(c.subjects.all))}
	var fresh []*check
	for n := range c.subjects.all {
		s := &c.subjects.all[n]
		s.cell = &shown.cells[n]
		spec := *s.spec
		if old := before.of(spec.Subject); old != nil {
			s.told = old.told
		}
		for _, wanted := range spec.Checks {
			k, isNew := c.ensure(spec, wanted)
			if isNew {
				k.state = known.resume(spec, wanted, now)
				k.due = now.Add(stagger(len(fresh), k.id.Check.Interval))
				c.agenda.add(event{at: k.due, what: due, check: k})
				fresh = append(fresh, k)
			}
			if spec.Served {
				k.state = k.state.Served() // also one that others share, of whom the table knew nothing
			}
			k.users = append(k.users, s)
			s.checks = append(s.checks, k)
		}
	}
	scatter(fresh)
	for k := range c.checks.all() {
		if k.retired = len(k.users) == 0; k.retired && k.attempt == nil {
			c.checks.remove(k)
		}
	}
	c.show(shown)
	c.lookReady()
}

// show fills a board, lets readers see it, and tells what has changed. Thousands of servers begin with the same verdict: it is
// kept once.
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

// ensure returns the check for a Spec's wanted one, and whether it is to be started.
func (c *Checker) ensure(spec Spec, wanted config.Check) (k *check, isNew bool) {
	if wanted.Interval <= 0 { // a validated configuration has one; without it the loop would never rest
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
	// One that was removed while its probe ran comes back as new, but must wait for that probe.
	isNew = !known || k.retired
	if isNew {
		k.retired, k.answered = false, false
	}
	return k, isNew
}

// last are the subjects of specs, in their order, each with its last Spec.
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

// scatter gives many new checks, which begin close together to know the servers soon, a rhythm of their own each: from the
// second time on they are spread over half of the interval, and do not take the CPU from the election in a burst.
func scatter(fresh []*check) {
	if len(fresh) <= atOnce {
		return
	}
	for n, k := range fresh {
		k.sooner = time.Duration(n) * k.id.Check.Interval / time.Duration(2*len(fresh))
	}
}
