package config

import (
	"math"
	"net/netip"
)

func portField() key[virtualServer] {
	return &field[virtualServer, uint16]{
		name: "port", kind: wholeNumber[uint16](0, math.MaxUint16), in: func(s *virtualServer) *uint16 { return &s.Port },
		readAs:   value.servicePort,
		required: "the port that clients connect to",
		doc:      "the port that clients connect to; address, port and protocol together are unique. 0: every port of the address, with `persistence`",
		reload:   Another,
	}
}

// servicePort reads the port of a virtual server.
func (v value) servicePort(s *virtualServer) uint16 {
	n, ok := v.whole(0, math.MaxUint16)
	s.everyPort = ok && n == 0
	return uint16(n)
}

// manyPorts reports whether the port of a real server is that of the client's packet.
func (s *virtualServer) manyPorts() bool { return s.everyPort || len(s.Ports) > 1 || s.Mark != 0 }

// endpointText is an address with its port, if there is one.
func endpointText(at netip.AddrPort) string {
	if at.Port() == 0 {
		return at.Addr().String()
	}
	return at.String()
}

// serverPort is the port of a real server without one of its own.
func (s *virtualServer) serverPort() uint16 {
	if s.manyPorts() {
		return 0
	}
	return s.Port
}

// checkPorts compares the ports of a virtual server with its other keys.
func (s *virtualServer) checkPorts(o object) {
	s.checkGroup(o)
	if s.everyPort && s.Persistence == nil && o.missing("persistence") {
		o.locate("port").fail("add persistence: {timeout: 50s}, or write ports", "0 is every port, which the kernel balances only with persistence (ip_vs_schedule)")
	}
	if s.Persistence != nil && s.Persistence.Engine != "" && s.Protocol != "udp" && s.Protocol != "" {
		o.locate("persistence").fail("remove it", "engine %s knows calls of SIP over UDP only, and the protocol is %s", s.Persistence.Engine, s.Protocol)
	}
	s.checkMark(o)
	if !s.everyPort && s.Mark == 0 {
		return
	}
	inherited := false
	for _, rs := range s.members() {
		if _, own := rs.at.fields["checks"]; own {
			needPorts(rs.v.own)
		} else {
			inherited = true
		}
	}
	if inherited {
		needPorts(s.checks)
	}
}

// needPorts reports the checks that do not say which port they connect to. Those of ICMP, of files and of commands connect to none.
func needPorts(checks []placed[Check]) {
	for _, c := range checks {
		if k := c.v.Kind; k != nil && (k.Network() == OverICMP || k.Network() == "") {
			continue
		}
		if c.v.Port == 0 && c.at.missing("port") {
			c.at.locate("port").fail("write the port to connect to", "is required, because the virtual server has no port that could be meant")
		}
	}
}

// checkManyPorts rejects the port of a real server that the kernel would ignore.
func (rs *realServer) checkManyPorts(o object) {
	v, given := o.fields["port"]
	switch {
	case !given || rs.Port == 0:
	case rs.of.Mark != 0 && (rs.of.Persistence != nil || rs.Forward != NAT && rs.Forward != ""):
		v.fail("remove it", "a virtual server with a firewall mark keeps the port that the client connected to, unless it has forward: nat and no persistence")
	case rs.of.everyPort:
		v.fail("remove it", "the virtual server has every port, and the kernel keeps the one that the client connected to")
	case len(rs.of.Ports) > 1 && rs.Forward != NAT && rs.Forward != "":
		v.fail("remove it, or use forward: nat", "the virtual server has several ports, and forward: %s keeps the one that the client connected to", rs.Forward)
	}
}
