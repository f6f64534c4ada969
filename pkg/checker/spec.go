package checker

import (
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/plan"
)

// Spec is one thing with a verdict: a real server of a virtual server, or a track.
type Spec = plan.Spec

// subject is a Spec at work.
type subject struct {
	spec   Spec
	checks []*check
	told   health.Verdict // what onChange heard last; the zero Verdict is what it knows before
	cell   *cell
}

func (s *subject) verdict() health.Verdict {
	states := make([]health.State, len(s.checks))
	for i, c := range s.checks {
		states[i] = c.state
	}
	return health.All(states)
}
