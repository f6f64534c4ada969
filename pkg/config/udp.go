package config

// checkUDP compares the keys of a virtual server with its protocol.
func (s *virtualServer) checkUDP(o object) {
	if s.OnePacket && s.Protocol == "tcp" {
		o.locate("one_packet").fail("remove it", "is for protocol: udp: a TCP connection has more than one packet")
	}
	if s.Protocol != "udp" {
		return
	}
	for _, c := range s.checks {
		if c.v.isTCP() && c.v.Port == 0 {
			c.at.locate("type").warn("write a port on which the server listens with TCP, if it has one", "connects with TCP to the port of a UDP service: a server that listens there with UDP only is down")
		}
	}
}
