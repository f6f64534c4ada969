package realserver

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/problem"
)

// TestDevices: where a VIP belongs, by the families of the VIP and of the real server, and what is refused.
func TestDevices(t *testing.T) {
	const four, six, rip6 = "10.77.0.100", "fd00::100", "fd00::11"
	for _, tt := range []struct {
		vip, server string
		forward     config.Forward
		tunnel      config.Tunnel
		want        string // the interface; "": none
		sysctls     bool   // of ARP
		filter      string // the device with a loose rp_filter
		refused     bool
	}{
		{vip: four, server: rip, forward: config.DR, want: "lo", sysctls: true},
		{vip: six, server: rip6, forward: config.DR, want: "lo"},
		{vip: six, server: rip6, forward: config.NAT},
		{vip: four, server: rip, forward: config.TUN, want: "tunl0", sysctls: true, filter: "tunl0"},
		{vip: six, server: rip6, forward: config.TUN, want: "ip6any0"},
		{vip: six, server: rip, forward: config.TUN, want: "sit0"},
		{vip: four, server: rip6, forward: config.TUN, want: "ip6any0", sysctls: true, filter: "ip6any0"},
		{vip: four, server: rip, forward: config.TUN, tunnel: config.Tunnel{Type: config.GRE}, want: "gre0", sysctls: true, filter: "gre0"},
		{vip: four, server: rip, forward: config.TUN, tunnel: config.Tunnel{Type: config.GUE, Port: 5555}, want: "tunl0", sysctls: true, filter: "tunl0"},
		{vip: six, server: rip, forward: config.TUN, tunnel: config.Tunnel{Type: config.GRE}, refused: true},
		{vip: four, server: rip6, forward: config.TUN, tunnel: config.Tunnel{Type: config.GUE, Port: 5555}, refused: true},
	} {
		cfg := cluster(tt.forward)
		v := &cfg.VirtualServers[0]
		v.Address, v.RealServers[0].Address, v.RealServers[0].Tunnel = netip.MustParseAddr(tt.vip), netip.MustParseAddr(tt.server), tt.tunnel
		s := Desired(cfg, []addr.Link{lo, eth0}, node)
		var want []kernel.IfAddr
		if tt.want != "" {
			want = []kernel.IfAddr{{Interface: tt.want, Prefix: netip.PrefixFrom(v.Address, v.Address.BitLen())}}
		}
		if !slices.Equal(s.Addresses, want) {
			t.Errorf("%+v: addresses %v", tt, s.Addresses)
		}
		if _, arp := s.Sysctls[confKey("all", "arp_ignore")]; arp != tt.sysctls {
			t.Errorf("%+v: sysctls %v", tt, s.Sysctls)
		}
		if _, six := s.Sysctls[disableIPv6(tt.want)]; six != (tt.want != "" && v.Address.Is6()) {
			t.Errorf("%+v: sysctls %v", tt, s.Sysctls)
		}
		for key := range s.Sysctls {
			if strings.HasSuffix(key, "rp_filter") && key != confKey(tt.filter, "rp_filter") {
				t.Errorf("%+v: %s", tt, key)
			}
		}
		if refused := s.Memberships[0].refusal() != ""; refused != tt.refused {
			t.Errorf("%+v: %q", tt, s.Memberships[0].refusal())
		}
		a := New(Options{})
		a.cfg = cfg
		if all := a.waysBack(s); tt.refused && len(all) > 0 {
			t.Errorf("%+v: its way back is judged: %v", tt, all)
		}
	}
}

// TestIPv6: a VIP of IPv6 needs no sysctls, so it is added although those of ARP cannot be set; it is reported on a network
// card, and on lo with more than itself.
func TestIPv6(t *testing.T) {
	six := netip.MustParsePrefix("fd00::100/128")
	cfg := cluster(config.DR, config.DR)
	v := &cfg.VirtualServers[1]
	v.Name, v.Address, v.RealServers[0].Address = "six", six.Addr(), netip.MustParseAddr("fd00::11")
	links := []addr.Link{lo, eth0}
	want := Desired(cfg, links, node)
	own := []addr.Address{
		{Interface: "eth0", Prefix: netip.MustParsePrefix(rip + "/24"), Global: true},
		{Interface: "eth0", Prefix: netip.MustParsePrefix("fd00::11/64"), Global: true},
		{Interface: "lo", Prefix: six},
	}
	unset := map[string]string{confKey("all", "arp_ignore"): "0", confKey("all", "arp_announce"): "0"}
	for _, tt := range []struct {
		more   []addr.Address
		code   problem.Code
		reason string
	}{
		{nil, "", "up: fd00::100 is on lo and stays out of neighbour discovery"},
		{
			[]addr.Address{{Interface: "eth0", Prefix: six}},
			problem.VIPAnswersARP,
			"down: eth0 has the VIP fd00::100/128 and answers neighbour solicitations for it",
		},
		{[]addr.Address{{Interface: "lo", Prefix: netip.MustParsePrefix("fd00::100/64")}}, problem.VIPTooWide, "up: fd00::100 is on lo and stays out of neighbour discovery"},
	} {
		have := Found{Links: links, Addresses: slices.Concat(own, tt.more), Sysctls: unset}
		a := New(Options{})
		a.cfg = cfg
		m := a.membership(want.Memberships[1], want, have)
		found := problems(want, have)
		if m.Reason != tt.reason || len(found) != 0 && tt.code == "" || tt.code != "" && (len(found) != 1 || found[0].Code != tt.code) {
			t.Errorf("%v: %+v, %v", tt.more, m, found)
		}
		if first := a.membership(want.Memberships[0], want, have); first.State != "down" {
			t.Errorf("that of IPv4: %+v", first)
		}
	}
}
