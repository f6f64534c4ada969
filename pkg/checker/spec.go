package checker

import (
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/plan"
)

// Spec is one subject of checks: a real server of a virtual server, or a track.
type Spec = plan.Spec

// subject is the running state of a Spec.
type subject struct {
	spec     *Spec
	checks   []*check
	reported *health.Verdict // the verdict last reported to onChange, or one that is the Same; nil: none yet
	cell     *cell           // of the board
	// wasServed: when its checks were suspended last, it was up, or in the table at the start of the director.
	wasServed bool
}

// suspended is the verdict of a subject whose checks are not made.
var suspended = health.Verdict{Reason: "unknown: its checks are suspended (ha_suspend) until this director is MASTER of the address"}

// follow takes over what is known about a subject from before a Set.
func (s *subject) follow(old *subject) {
	s.reported, s.wasServed = old.reported, old.wasServed
	if !s.spec.Suspended || old.spec.Suspended {
		s.wasServed = s.wasServed || old.spec.Served
		return
	}
	if v := old.verdict(); v.Known {
		s.wasServed = v.Up
	}
}

// subjects are the subjects of one Set; at has their indexes in all.
type subjects struct {
	at  map[config.Subject]int
	all []subject
}

// of returns the subject with an identity, or nil.
func (s subjects) of(id config.Subject) *subject {
	if n, found := s.at[id]; found {
		return &s.all[n]
	}
	return nil
}

func (s *subject) verdict() health.Verdict {
	if s.spec.Suspended {
		return suspended
	}
	states := make([]health.State, len(s.checks))
	for i, c := range s.checks {
		states[i] = c.state
	}
	if s.spec.AtLeast > 0 {
		return health.AtLeast(s.spec.AtLeast, states)
	}
	return health.All(states)
}
