package checker

import (
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/plan"
)

// Spec is one thing with a verdict: a real server of a virtual server, or a track.
type Spec = plan.Spec

// subject is a Spec at work.
type subject struct {
	spec   *Spec
	checks []*check
	told   *health.Verdict // what onChange heard last, or one that is the Same; nil: nothing yet
	cell   *cell           // of the board
}

// subjects are those of one Set, each at its place.
type subjects struct {
	at  map[config.Subject]int
	all []subject
}

// of is the subject of a name, nil when there is none.
func (s subjects) of(id config.Subject) *subject {
	if n, found := s.at[id]; found {
		return &s.all[n]
	}
	return nil
}

func (s *subject) verdict() health.Verdict {
	states := make([]health.State, len(s.checks))
	for i, c := range s.checks {
		states[i] = c.state
	}
	return health.All(states)
}
