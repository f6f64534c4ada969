package config

import "strings"

// checkUDP compares the keys of a virtual server with its protocol.
func (s *virtualServer) checkUDP(o object) {
	if s.OnePacket && s.Protocol != "udp" {
		o.locate("one_packet").fail("remove it", "is for protocol: udp: a connection has more than one packet")
	}
	if s.Protocol == "tcp" || s.Protocol == "" {
		return
	}
	for _, c := range s.checks {
		if c.v.isTCP() && c.v.Port == 0 {
			c.at.locate("type").warn("write a port on which the server listens with TCP, if it has one", "connects with TCP to the port of %s service: a server that listens there with %s only is down", map[string]string{"udp": "a UDP", "sctp": "an SCTP"}[s.Protocol], strings.ToUpper(s.Protocol))
		}
	}
}
