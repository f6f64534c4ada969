package config

import (
	"math"
	"net/netip"
	"slices"

	"gopkg.in/yaml.v3"
)

func (s virtualServer) readRealServers(v value) []placed[RealServer] {
	var list []placed[RealServer]
	items := v.items("real servers")
	if items != nil && len(items) == 0 {
		v.fail("", "is empty: want at least one real server, with name and address")
	}
	for _, item := range items {
		if o, ok := item.object("a real server with name and address", realServerSection); ok {
			list = append(list, s.readRealServer(o))
		}
	}
	unique(list, "name", func(rs RealServer) string { return rs.Name })
	first := map[netip.AddrPort]int{}
	for _, rs := range list {
		at := netip.AddrPortFrom(rs.v.Address, rs.v.Port)
		if !at.Addr().IsValid() || at.Port() == 0 {
			continue
		}
		v := rs.at.locate("address")
		if line, ok := first[at]; ok {
			v.fail("", "%s is a real server of this virtual server already, in line %d", at, line)
			continue
		}
		first[at] = v.place.Line
	}
	return list
}

func (s virtualServer) readRealServer(o object) placed[RealServer] {
	rs := RealServer{
		Name:    required(o, "name", "the node name, usually the host name", value.name),
		Address: required(o, "address", "the real server's own IPv4 address", value.address),
		Port:    optional(o, "port", s.v.Port, value.port),
		Weight:  optional(o, "weight", 1, value.weight),
		Checks:  s.v.Checks,
	}
	if v, ok := o.fields["checks"]; ok {
		own := readChecks(v)
		rs.Checks = unchecks(own)
		s.doubtTCP(own, []uint16{rs.Port})
		if len(own) == 0 && v.node.Kind == yaml.SequenceNode {
			v.warn("", "no check: %s stays in the table when it is dead", rs.Name)
		}
	}
	if s.v.Forward != NAT && s.v.Forward != "" && s.v.Port != 0 && rs.Port != 0 && rs.Port != s.v.Port {
		method := map[Forward]string{DR: "DR", TUN: "TUN"}[s.v.Forward]
		o.locate("port").fail("use forward: nat", "%d differs from the virtual server's %d: %s cannot change the port", rs.Port, s.v.Port, method)
	}
	if rs.Address.IsValid() && rs.Address == s.v.Address {
		o.locate("address").fail("write the real server's own address", "%s is the virtual server's address", rs.Address)
	}
	return placed[RealServer]{v: rs, at: o}
}

// checkChecks judges the virtual server's own checks once it is known which real servers they are for.
func (s virtualServer) checkChecks() {
	var ports []uint16
	inherit := false
	for _, rs := range s.servers {
		if _, own := rs.at.fields["checks"]; !own {
			inherit = true
			ports = append(ports, rs.v.Port)
		}
	}
	if inherit && len(s.checks) == 0 && !s.at.meant["checks"] {
		if v, given := s.at.fields["checks"]; !given || v.node.Kind == yaml.SequenceNode && len(v.node.Content) == 0 {
			s.at.locate("checks").warn("", "no check: a dead real server stays in the table")
		}
	}
	s.doubtTCP(s.checks, ports)
}

// doubtTCP warns about tcp checks of MySQL servers; ports are those of the real servers that are checked.
func (s virtualServer) doubtTCP(checks []placed[Check], ports []uint16) {
	mysql := speaksMySQL(s.v.Name) || slices.ContainsFunc(checks, func(c placed[Check]) bool { return c.v.Type == MySQL })
	for _, c := range checks {
		targets := ports
		if c.v.Port != 0 {
			targets = []uint16{c.v.Port}
		}
		if c.v.Type == TCP && (mysql || slices.ContainsFunc(targets, isMySQLPort)) {
			warnHalfLogin(c.at)
		}
	}
}

// weight reads a weight: the kernel takes 31 bits, but the table is read back as 16.
func (v value) weight() int {
	n, _ := v.whole(0, math.MaxUint16)
	return n
}
