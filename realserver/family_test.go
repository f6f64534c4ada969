package realserver

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
)

// An IPv6 VIP is refused with an explicit message, and does not affect IPv4 VIPs.
func TestIPv6(t *testing.T) {
	six := netip.MustParseAddr("fd00::100")
	own := []addr.Address{
		{Interface: "eth0", Prefix: netip.MustParsePrefix(rip + "/24"), Global: true},
		{Interface: "eth0", Prefix: netip.MustParsePrefix("fd00::11/64"), Global: true},
	}
	for _, tt := range []struct {
		forward config.Forward
		want    []string
	}{
		{config.DR, []string{"six: fd00::100: forward: dr with an IPv6 VIP is not supported yet"}},
		{config.TUN, []string{"six: fd00::100: forward: tun with an IPv6 VIP is not supported yet"}},
		{config.NAT, nil},
	} {
		cfg := cluster(config.DR, tt.forward)
		v := &cfg.VirtualServers[1]
		v.Name, v.Address, v.RealServers[0].Address = "six", six, netip.MustParseAddr("fd00::11")
		links := []addr.Link{lo, eth0}
		want := Desired(cfg, links, node)
		have := Found{Links: links, Addresses: slices.Concat(own, []addr.Address{there(onLo, 0)}), Sysctls: want.Sysctls}
		if len(want.Addresses) != 1 || want.Addresses[0] != onLo || len(want.Up) != 1 {
			t.Errorf("%s: desired addresses %v, up %v", tt.forward, want.Addresses, want.Up)
		}
		var texts []string
		for _, f := range problems(want, have) {
			texts = append(texts, f.Text)
		}
		if diff := cmp.Diff(tt.want, texts); diff != "" {
			t.Errorf("%s: problems (-want +got):\n%s", tt.forward, diff)
		}
		a := New(Options{})
		a.cfg, a.gateways = cfg, map[netip.Addr]netip.Addr{netip.MustParseAddr("fd00::11"): netip.MustParseAddr("fe80::1")}
		four, second := a.membership(want.Memberships[0], want, have), a.membership(want.Memberships[1], want, have)
		if four.State != "up" {
			t.Errorf("%s: the IPv4 service is %+v", tt.forward, four)
		}
		if up := tt.want == nil; (second.State == "up") != up || !up && second.Reason != "down: "+tt.want[0][len("six: "):] || second.Address != "fd00::100" {
			t.Errorf("%s: %+v", tt.forward, second)
		}
	}
}
