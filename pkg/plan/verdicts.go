package plan

import (
	"iter"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
)

// Verdicts are what the checks say of everything that has a verdict, at one moment. The zero value says nothing of anything.
// They never change: those of the next moment share with them the index and each verdict that is still the same, so that
// one more moment of 4 000 servers costs 32 kB.
type Verdicts struct {
	at  map[config.Subject]int // the place in all
	all []*health.Verdict
}

// NewVerdicts makes Verdicts of an index and the verdicts at its places; neither may be changed afterwards.
func NewVerdicts(at map[config.Subject]int, all []*health.Verdict) Verdicts { return Verdicts{at, all} }

// VerdictsOf makes Verdicts of a map.
func VerdictsOf(verdicts map[config.Subject]health.Verdict) Verdicts {
	v := Verdicts{at: make(map[config.Subject]int, len(verdicts))}
	for subject, verdict := range verdicts {
		v.at[subject] = len(v.all)
		v.all = append(v.all, &verdict)
	}
	return v
}

// Of is the verdict of a subject. Of one that nobody has looked at it is the zero value, "not known", and known is false.
func (v Verdicts) Of(subject config.Subject) (verdict health.Verdict, known bool) {
	n, known := v.at[subject]
	if !known {
		return health.Verdict{}, false
	}
	return *v.all[n], true
}

// All are the verdicts with their subjects, in no order.
func (v Verdicts) All() iter.Seq2[config.Subject, health.Verdict] {
	return func(yield func(config.Subject, health.Verdict) bool) {
		for subject, n := range v.at {
			if !yield(subject, *v.all[n]) {
				return
			}
		}
	}
}
