package plan

import (
	"net/netip"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// Spec describes one checked subject: a real server of a virtual server, or a track.
type Spec struct {
	Subject config.Subject // unique
	Checks  []config.Check // all must pass; without checks the subject is always up
	Address netip.Addr
	Port    uint16 // for checks that have no port
	AtLeast int    // how many of Checks must pass; 0: all
	Served  bool   // it was in the table at the start of the director: see health.State.Served
	// Suspended: its checks are not made now, so that nothing is known about it. Later it counts as Served if it was up, or Served.
	Suspended bool
}

// CheckID is the identity of a check: target, type and options, and whether it is for a track. Checks with the same ID are probed once, and
// all their Specs share the results.
type CheckID struct {
	Target netip.AddrPort
	Check  config.Check // with the Port of Target
	// Track: a result NoNetwork is bad, because a track is about this director and not about a server.
	Track bool
}

// Target returns the address and port that a check of this Spec probes; an invalid one for a check of no address.
func (s Spec) Target(c config.Check) netip.AddrPort {
	if own, ok := c.Kind.(config.Addressed); ok {
		return netip.AddrPortFrom(own.Target(), 0)
	}
	if !s.Address.IsValid() {
		return netip.AddrPort{}
	}
	if c.Port != 0 {
		return netip.AddrPortFrom(s.Address, c.Port)
	}
	return netip.AddrPortFrom(s.Address, s.Port)
}

// CheckID returns the identity of a check of this Spec.
func (s Spec) CheckID(c config.Check) CheckID {
	target := s.Target(c)
	c.Port = target.Port()
	return CheckID{Target: target, Check: c, Track: s.Subject.Track != ""}
}
