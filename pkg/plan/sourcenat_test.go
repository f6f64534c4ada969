package plan

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// TestSourceNATBy: every endpoint of the virtual servers with such clients, and their real servers with forward: nat alone; of both
// files during a reload.
func TestSourceNATBy(t *testing.T) {
	networks := func(all ...string) []netip.Prefix {
		var list []netip.Prefix
		for _, p := range all {
			list = append(list, netip.MustParsePrefix(p))
		}
		return list
	}
	address := netip.MustParseAddr
	servers := []config.RealServer{{Address: address("10.77.0.12")}, {Address: address("10.77.0.11")}, {Address: address("10.77.0.13"), Forward: config.DR}}
	file := func(v config.VirtualServer) *config.Config {
		v.Forward, v.RealServers, v.Protocol = config.NAT, servers, "tcp"
		return &config.Config{VirtualServers: []config.VirtualServer{v}}
	}
	at := config.VirtualServer{Address: address("10.77.0.100"), Port: 80}
	with := func(v config.VirtualServer, clients ...string) *config.Config {
		v.SNATClients = networks(clients...)
		return file(v)
	}
	ports, every, mark := at, at, config.VirtualServer{Mark: 5}
	ports.Ports, every.Port = []uint16{80, 443}, 0
	const to = " to [10.77.0.11 10.77.0.12]"
	for name, c := range map[string]struct {
		files []*config.Config
		want  string
	}{
		"none":     {[]*config.Config{file(at)}, "[] to []"},
		"one":      {[]*config.Config{with(at, "10.77.0.0/24")}, "[{10.77.0.0/24 {6 10.77.0.100:80} 0}]" + to},
		"networks": {[]*config.Config{with(at, "192.0.2.1/32", "10.77.0.0/24")}, "[{10.77.0.0/24 {6 10.77.0.100:80} 0} {192.0.2.1/32 {6 10.77.0.100:80} 0}]" + to},
		"ports":    {[]*config.Config{with(ports, "0.0.0.0/0")}, "[{0.0.0.0/0 {6 10.77.0.100:80} 0} {0.0.0.0/0 {6 10.77.0.100:443} 0}]" + to},
		"every":    {[]*config.Config{with(every, "0.0.0.0/0")}, "[{0.0.0.0/0 {6 10.77.0.100:0} 0}]" + to},
		"mark":     {[]*config.Config{with(mark, "10.77.0.0/24")}, "[{10.77.0.0/24 {0 invalid AddrPort} 5}]" + to},
		"a reload": {[]*config.Config{with(at, "10.77.0.0/24"), with(mark, "10.0.0.0/8")}, "[{10.0.0.0/8 {0 invalid AddrPort} 5} {10.77.0.0/24 {6 10.77.0.100:80} 0}]" + to},
	} {
		got := sourceNATBy(c.files)
		if text := fmt.Sprint(got.Replaced, " to ", got.Servers); text != c.want || got.None() != (name == "none") {
			t.Errorf("%s: %s, want %s", name, text, c.want)
		}
		tracks := sysctls(c.files[0])["net.ipv4.vs.conntrack"] == "1"
		if tracks == got.None() {
			t.Errorf("%s: connections are tracked: %v", name, tracks)
		}
	}
}
