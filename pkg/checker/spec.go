package checker

import (
	"fmt"
	"net/netip"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
)

// Spec is one thing with a verdict: a real server of a virtual server, or a track.
type Spec struct {
	Name    string         // unique; for logs and Verdict: "mysql/mysql1"
	Checks  []config.Check // all must pass; none is always up
	Address netip.Addr
	Port    uint16     // for checks without a port of their own
	Source  netip.Addr // the address to probe from; zero: the kernel's choice (see probe.Target)
	Served  bool       // by the table that the director found at its start: see health.State.Served
}

// ID is the identity of a check: type, target, source and options. What has the same ID is probed once, and every
// Spec that asks for it shares the results.
type ID string

// target is where a check of this Spec goes.
func (s Spec) target(c config.Check) netip.AddrPort {
	if c.Port != 0 {
		return netip.AddrPortFrom(s.Address, c.Port)
	}
	return netip.AddrPortFrom(s.Address, s.Port)
}

func (s Spec) id(c config.Check) ID {
	target := s.target(c)
	c.Port = target.Port()
	return ID(fmt.Sprintf("%s %s from %s: %+v", c.Kind.Type(), target, s.Source, c))
}

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
