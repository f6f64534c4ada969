package checker

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
)

// memory is what was known before a Set. New checks start from it, so that no verdict changes without a result: a
// reload that edits checks takes no server out and brings none back.
type memory struct {
	subjects  subjects
	questions map[question]health.State
}

// question is the target and the kind of a check, without its timing.
type question struct {
	target netip.AddrPort
	kind   config.CheckKind
	track  bool
}

func (k *check) question() question { return question{k.id.Target, k.id.Check.Kind, k.id.Track} }

// asks returns the question of a check of a subject.
func asks(spec Spec, c config.Check) question {
	return question{spec.Target(c), c.Kind, spec.Subject.Track != ""}
}

// place is where a subject is, whatever its name. A track without an address is where its check is.
type place struct {
	target netip.AddrPort
	track  bool
	kind   config.CheckKind
}

func placeOf(s *Spec) place {
	p := place{netip.AddrPortFrom(s.Address, s.Port), s.Subject.Track != "", nil}
	if !s.Address.IsValid() && len(s.Checks) > 0 {
		p.kind = s.Checks[0].Kind
	}
	return p
}

// departed are subjects that a Set no longer has, by place.
type departed map[place][]*subject

// without returns the subjects that are not among others.
func (s subjects) without(others subjects) departed {
	all := departed{}
	for n := range s.all {
		if old := &s.all[n]; others.of(old.spec.Subject) == nil {
			at := placeOf(old.spec)
			all[at] = append(all[at], old)
		}
	}
	return all
}

// take returns the subject that has become a new one by a change of its name or of that of its virtual server, and nil
// if there is none.
func (d departed) take(spec Spec) *subject {
	at := placeOf(&spec)
	all := d[at]
	n := slices.IndexFunc(all, func(s *subject) bool {
		a, b := s.spec.Subject.Server, spec.Subject.Server
		return a.Service == b.Service || a.Server == b.Server
	})
	if n < 0 {
		return nil
	}
	old := all[n]
	d[at] = slices.Delete(all, n, n+1)
	return old
}

// twin returns the track with the same check as a new one, and nil if there is none: during a reload that renames a track
// it has both names.
func (s subjects) twin(spec Spec) *subject {
	if spec.Subject.Track == "" {
		return nil
	}
	for n := range s.all {
		if old := s.all[n].spec; placeOf(old) == placeOf(&spec) && slices.Equal(old.Checks, spec.Checks) {
			return &s.all[n]
		}
	}
	return nil
}

func (c *Checker) remembered() memory {
	m := memory{subjects: c.subjects, questions: make(map[question]health.State, len(c.checks))}
	oldestFirst := func(a, b *check) int { return cmp.Compare(a.number, b.number) }
	for _, k := range slices.SortedFunc(c.checks.all(), oldestFirst) { // of two checks with the same question the newer counts
		if !k.retired {
			m.questions[k.question()] = k.state
		}
	}
	return m
}

// resume returns the state in which a new check starts. The states of its subject's own checks take precedence over
// that of another subject's check with the same question.
func (m memory) resume(spec Spec, wanted config.Check, now time.Time) health.State {
	question := asks(spec, wanted)
	old := m.subjects.of(spec.Subject)
	if old == nil || old.spec.Suspended || old.spec.Address != spec.Address || old.spec.Port != spec.Port {
		if s, ok := m.questions[question]; ok {
			return health.Resume(wanted.Rise, wanted.Fall, s)
		}
		return health.New(wanted.Rise, wanted.Fall)
	}
	if i := slices.IndexFunc(old.checks, func(k *check) bool { return k.question() == question }); i >= 0 {
		return health.Resume(wanted.Rise, wanted.Fall, old.checks[i].state)
	}
	if gone := old.gone(spec); len(gone) > 0 { // the new check replaces these
		return health.Resume(wanted.Rise, wanted.Fall, worst(gone))
	}
	// It is an additional check. The others determine the state of the server until it has failed.
	return health.Unchecked(wanted.Rise, wanted.Fall, now)
}

// gone returns the checks of a subject that its new Spec no longer has.
func (s *subject) gone(next Spec) []*check {
	return slices.DeleteFunc(slices.Clone(s.checks), func(k *check) bool {
		return slices.ContainsFunc(next.Checks, func(c config.Check) bool {
			return asks(next, c) == k.question()
		})
	})
}

// worst returns the worst state of checks: down, then not known, then full, then up.
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
