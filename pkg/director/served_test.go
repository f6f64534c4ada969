package director

import (
	"net/netip"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// TestServed: virtual servers with one address and port are told apart by their protocol. A connection that belongs to none of
// them belongs to the virtual server by firewall mark that has its real server, if it is to an address of an instance.
func TestServed(t *testing.T) {
	cfg := &config.Config{Instances: []config.Instance{{Name: "a", VirtualAddresses: []netip.Prefix{netip.MustParsePrefix("10.77.0.100/24")}}}}
	server := func(address string, forward config.Forward) config.RealServer {
		return config.RealServer{Address: netip.MustParseAddr(address), Forward: forward}
	}
	virtual := netip.MustParseAddr("10.77.0.100")
	cfg.VirtualServers = []config.VirtualServer{
		{Protocol: "tcp", Address: virtual, Port: 53, Forward: config.NAT},
		{Protocol: "udp", Address: virtual, Port: 53, Forward: config.DR, Persistence: &config.Persistence{Timeout: time.Minute}},
		{Mark: 5, Forward: config.TUN, RealServers: []config.RealServer{server("10.77.0.11", config.DR), server("10.77.0.12", "")}},
		{Mark: 6, Forward: config.DR, RealServers: []config.RealServer{server("10.77.0.11", ""), server("10.77.0.12", "")}},
	}
	c := &connectionSync{file: func() *config.Config { return cfg }, masters: map[config.InstanceID]bool{cfg.Instances[0].ID(): true}}
	for _, one := range []struct {
		protocol, virtual, server string
		known                     bool
		forward                   config.Forward
		mark                      uint32
		persistence               time.Duration
	}{
		{"tcp", "10.77.0.100:53", "10.77.0.11:53", true, config.NAT, 0, 0},
		{"udp", "10.77.0.100:53", "10.77.0.11:53", true, config.DR, 0, time.Minute},
		{"sctp", "10.77.0.100:53", "10.77.0.13:53", false, "", 0, 0},
		{"tcp", "10.77.0.100:80", "10.77.0.11:80", true, config.DR, 5, 0},
		{"tcp", "10.77.0.100:80", "10.77.0.12:80", false, "", 0, 0}, // of two marks, in different ways
		{"tcp", "10.77.0.101:80", "10.77.0.11:80", false, "", 0, 0}, // of no instance
	} {
		at := lvs.Connection{Protocol: one.protocol, Virtual: netip.MustParseAddrPort(one.virtual), Server: netip.MustParseAddrPort(one.server)}
		s := c.served(at)
		if s.Known != one.known || s.Held != one.known || s.Mark != one.mark || s.Persistence != one.persistence || one.known && s.To(at.Server) != one.forward {
			t.Errorf("%s: %+v", at, s)
		}
	}
}
