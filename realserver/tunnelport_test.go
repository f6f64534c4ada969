package realserver

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/problem"
)

// TestDeviceOfATunnel: the VIP is on the device on which the kernel delivers the packets of the tunnel.
func TestDeviceOfATunnel(t *testing.T) {
	for _, tt := range []struct {
		tunnel config.Tunnel
		device string
	}{
		{config.Tunnel{}, "tunl0"},
		{config.Tunnel{Type: config.GRE}, "gre0"},
		{config.Tunnel{Type: config.GRE, Checksum: config.FullChecksum}, "grecsum0"},
		{config.Tunnel{Type: config.GUE, Port: 5555, Checksum: config.FullChecksum}, "tunl0"},
	} {
		cfg := cluster(config.DR)
		cfg.VirtualServers[0].RealServers[0].Forward, cfg.VirtualServers[0].RealServers[0].Tunnel = config.TUN, tt.tunnel
		got := Desired(cfg, nil, node)
		if len(got.Addresses) != 1 || got.Addresses[0].Interface != tt.device || got.Sysctls[confKey(tt.device, "rp_filter")] != "2" {
			t.Errorf("%s: %v, %v", tt.tunnel, got.Addresses, got.Sysctls)
		}
	}
}

// TestClosedTunnel: a GUE port that nothing receives is one problem of all virtual servers that need it; unknown is none.
func TestClosedTunnel(t *testing.T) {
	cfg := cluster(config.TUN, config.TUN, config.TUN)
	for n, port := range []uint16{5555, 5555, 5556} {
		cfg.VirtualServers[n].RealServers[0].Tunnel = config.Tunnel{Type: config.GUE, Port: port}
	}
	want := Desired(cfg, nil, node)
	for _, tt := range []struct {
		open    []string
		err     error
		subject []string
	}{
		{[]string{"0.0.0.0:5555", rip + ":5556"}, nil, nil},
		{[]string{"0.0.0.0:5555"}, nil, []string{"UDP port 5556"}},
		{[]string{"10.77.0.99:5555", "[::]:5556"}, nil, []string{"UDP port 5555", "UDP port 5556"}},
		{nil, errors.New("no sock_diag"), nil},
	} {
		a := &Agent{}
		a.e.Listeners = func(protocol string) ([]netip.AddrPort, error) {
			if protocol != "udp" {
				t.Errorf("asked for %s", protocol)
			}
			var all []netip.AddrPort
			for _, s := range tt.open {
				all = append(all, netip.MustParseAddrPort(s))
			}
			return all, tt.err
		}
		found := a.closedTunnels(want)
		if len(found) != len(tt.subject) {
			t.Fatalf("%v: %v", tt.open, found)
		}
		for n, f := range found {
			if f.Code != problem.DeviceMissing || f.Subject != tt.subject[n] || f.Subject == "UDP port 5555" && len(f.Related) != 2 {
				t.Errorf("%v: %+v", tt.open, f)
			}
		}
	}
}
