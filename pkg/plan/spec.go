package plan

import (
	"net/netip"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// Spec is one thing with a verdict: a real server of a virtual server, or a track.
type Spec struct {
	Subject config.Subject // unique
	Checks  []config.Check // all must pass; none is always up
	Address netip.Addr
	Port    uint16     // for checks without a port of their own
	Source  netip.Addr // the address to probe from; zero: the kernel's choice (see probe.Target)
	Served  bool       // by the table that the director found at its start: see health.State.Served
}

// CheckID is the identity of a check: target, source, type and options. What has the same ID is probed once, and every
// Spec that asks for it shares the results.
type CheckID struct {
	Target netip.AddrPort
	Source netip.Addr
	Check  config.Check // its Port is that of Target
}

// Target is where a check of this Spec goes.
func (s Spec) Target(c config.Check) netip.AddrPort {
	if c.Port != 0 {
		return netip.AddrPortFrom(s.Address, c.Port)
	}
	return netip.AddrPortFrom(s.Address, s.Port)
}

// CheckID is the identity of a check of this Spec.
func (s Spec) CheckID(c config.Check) CheckID {
	target := s.Target(c)
	c.Port = target.Port()
	return CheckID{Target: target, Source: s.Source, Check: c}
}
