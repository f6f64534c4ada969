package config

import (
	"fmt"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// checkFamilies compares the addresses of a virtual server with each other and with the netmask, which it fills in.
func (s *virtualServer) checkFamilies(o object) {
	for i, a := range s.Addresses {
		if a.IsValid() && s.Address.IsValid() && a.BitLen() != s.Address.BitLen() {
			addressAt(o, i).fail("write another virtual server for them", "%s is of another family than %s", a, s.Address)
		}
	}
	p := s.Persistence
	if p == nil || !s.Address.IsValid() {
		return
	}
	switch bits := s.Address.BitLen(); {
	case p.Netmask > bits:
		at := o.locate("persistence")
		if v, given := at.peek("netmask"); given {
			at = v
		}
		at.fail("", "%d is out of range: an %s address has %d bits", p.Netmask, kernel.FamilyOf(s.Address), bits)
	case p.Netmask == 0:
		p.Netmask = bits
	}
}

// checkFamily compares the family of a real server with that of its virtual server: the kernel mixes them in tunnels only
// (ip_vs_add_dest).
func (rs *realServer) checkFamily(o object) {
	of := rs.of
	if !rs.Address.IsValid() || !of.Address.IsValid() || rs.Address.BitLen() == of.Address.BitLen() || rs.Forward == TUN || rs.Forward == "" {
		return
	}
	o.locate("address").fail("use forward: tun, or an "+fmt.Sprint(kernel.FamilyOf(of.Address))+" address",
		"%s is an %s address, and the virtual server's is %s: forward: %s cannot change the family", rs.Address, kernel.FamilyOf(rs.Address), of.Address, rs.Forward)
}

// checkMixedFamilies rejects what the kernel refuses while it synchronizes connections (ip_vs_add_dest): tunnels in the other family.
func (c *contents) checkMixedFamilies() {
	if c.sync == nil {
		return
	}
	for _, s := range c.services {
		for _, rs := range s.v.members() {
			if rs.v.Address.IsValid() && s.v.Address.IsValid() && rs.v.Address.BitLen() != s.v.Address.BitLen() && rs.v.Forward == TUN {
				rs.at.locate("address").fail("remove connection_sync, or use a real server of the same family",
					"%s is of another family than %s, which the kernel refuses with connection_sync", rs.v.Address, s.v.Address)
			}
		}
	}
}
