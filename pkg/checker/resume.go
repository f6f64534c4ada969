package checker

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
)

// memory is what was known before a Set. From it comes the state in which new checks start, so that no verdict changes
// without a result: a reload that edits checks takes no server out and brings none back.
type memory struct {
	subjects  subjects
	questions map[question]health.State
}

// question is what a check asks whom, without how often.
type question struct {
	target netip.AddrPort
	kind   config.CheckKind
}

func (k *check) question() question { return question{k.id.Target, k.id.Check.Kind} }

func (c *Checker) remembered() memory {
	m := memory{subjects: c.subjects, questions: make(map[question]health.State, len(c.checks))}
	oldestFirst := func(a, b *check) int { return cmp.Compare(a.number, b.number) }
	for _, k := range slices.SortedFunc(c.checks.all(), oldestFirst) { // of two checks the newer counts
		if !k.retired {
			m.questions[k.question()] = k.state
		}
	}
	return m
}

// resume returns the state in which a new check starts. What its subject's own checks knew comes first, then what a check
// of another subject knew that asks the same.
func (m memory) resume(spec Spec, wanted config.Check, now time.Time) health.State {
	asks := question{spec.Target(wanted), wanted.Kind}
	old := m.subjects.of(spec.Subject)
	if old == nil || old.spec.Address != spec.Address || old.spec.Port != spec.Port {
		if s, ok := m.questions[asks]; ok {
			return health.Resume(wanted.Rise, wanted.Fall, s)
		}
		return health.New(wanted.Rise, wanted.Fall)
	}
	if i := slices.IndexFunc(old.checks, func(k *check) bool { return k.question() == asks }); i >= 0 {
		return health.Resume(wanted.Rise, wanted.Fall, old.checks[i].state)
	}
	if gone := old.gone(spec); len(gone) > 0 { // it takes the place of these
		return health.Resume(wanted.Rise, wanted.Fall, worst(gone))
	}
	// It comes in addition. The others say what is known of the server until it has failed.
	return health.Unchecked(wanted.Rise, wanted.Fall, now)
}

// gone are the checks of a subject of which its new Spec asks no longer.
func (s *subject) gone(next Spec) []*check {
	return slices.DeleteFunc(slices.Clone(s.checks), func(k *check) bool {
		return slices.ContainsFunc(next.Checks, func(c config.Check) bool {
			return question{next.Target(c), c.Kind} == k.question()
		})
	})
}

// worst is the state of the check that holds its server back most.
func worst(checks []*check) health.State {
	rank := func(s health.State) int {
		switch v := health.All([]health.State{s}); {
		case v.Known && !v.Up:
			return 3
		case !v.Known:
			return 2
		case v.Full:
			return 1
		default:
			return 0
		}
	}
	found := checks[0].state
	for _, k := range checks[1:] {
		if rank(k.state) > rank(found) {
			found = k.state
		}
	}
	return found
}
