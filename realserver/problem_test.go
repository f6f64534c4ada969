package realserver

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/problem"
)

// TestExposed has the results measured with arping against a VIP on lo.
func TestExposed(t *testing.T) {
	tests := []struct {
		ignoreAll, ignore, announceAll, announce string
		exposed                                  bool
	}{
		{"1", "1", "2", "2", false},
		{"0", "0", "2", "2", true},
		{"0", "1", "0", "2", false},
		{"1", "0", "2", "0", false},
		{"2", "0", "2", "2", false},
		{"0", "2", "2", "2", false},
		{"1", "3", "2", "2", true}, // depends on the scope
		{"1", "4", "2", "2", true}, // reserved
		{"8", "1", "2", "2", false},
		{"1", "1", "0", "0", true},
		{"1", "1", "1", "1", true},
		{"1", "1", "", "2", true},
		{"1", "x", "2", "2", true},
	}
	for _, tt := range tests {
		sysctls := map[string]string{
			"net.ipv4.conf.all.arp_ignore": tt.ignoreAll, "net.ipv4.conf.eth0.arp_ignore": tt.ignore,
			"net.ipv4.conf.all.arp_announce": tt.announceAll, "net.ipv4.conf.eth0.arp_announce": tt.announce,
		}
		if got := Exposed([]string{"eth0", "without-ipv4"}, sysctls); (got != "") != tt.exposed {
			t.Errorf("%+v: %q", tt, got)
		}
	}
	if Exposed(nil, map[string]string{}) == "" {
		t.Error("not exposed without any sysctl; want exposed")
	}
	if got := Exposed(nil, map[string]string{"net.ipv4.conf.all.arp_ignore": "0", "net.ipv4.conf.all.arp_announce": "2"}); got == "" {
		t.Error("not exposed with conf.all.arp_ignore=0 on a machine that has no network card yet; want exposed")
	}
}

func TestProblems(t *testing.T) {
	own := addr.Address{Interface: "eth0", Prefix: netip.MustParsePrefix(rip + "/24"), Global: true}
	at := func(iface, prefix string) addr.Address {
		return addr.Address{Interface: iface, Prefix: netip.MustParsePrefix(prefix)}
	}
	tests := []struct {
		name      string
		forward   config.Forward
		director  bool
		addresses []addr.Address
		want      []string
	}{
		{"none", config.DR, false, []addr.Address{own, at("lo", "127.0.0.1/8"), at("lo", vip+"/32")}, nil},
		{"nat", config.NAT, false, []addr.Address{own}, nil},
		{"nat, the VIP on a card", config.NAT, false, []addr.Address{own, at("eth0", vip+"/32")}, []string{
			"eth0 has the VIP 10.77.0.100/32 and answers ARP for it beside the director, so clients reach this machine instead: remove it: ip addr del 10.77.0.100/32 dev eth0",
		}},
		{"nat, a wide VIP on lo", config.NAT, false, []addr.Address{own, at("lo", vip+"/24")}, nil},
		{"a wide VIP on lo", config.DR, false, []addr.Address{own, at("lo", vip+"/24")}, []string{
			"lo has the VIP as 10.77.0.100/24, which makes all of 10.77.0.0/24 local to this machine: remove it: ip addr del 10.77.0.100/24 dev lo",
		}},
		{"the VIP on a card", config.DR, false, []addr.Address{own, at("eth0", vip+"/24")}, []string{
			"eth0 has the VIP 10.77.0.100/24 and answers ARP for it beside the director, so clients reach this machine instead: remove it: ip addr del 10.77.0.100/24 dev eth0",
		}},
		{"the VIP on the card of a director", config.DR, true, []addr.Address{own, at("eth0", vip+"/32")}, nil},
		{"the VIP on a dummy", config.DR, false, []addr.Address{own, at("dummy0", vip+"/32")}, nil},
		{"a wrong node name", config.DR, false, nil, []string{
			"the cluster file gives mysql1 the address 10.77.0.11, which no interface here has: is this the right node name?",
		}},
		{"no tunnel", config.TUN, false, []addr.Address{own}, []string{
			"tunl0 does not exist, so forward: tun cannot work: load the kernel module ipip (modprobe ipip; for every boot: echo ipip >/etc/modules-load.d/ipip.conf)",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			links := []addr.Link{lo, eth0, {Name: "dummy0", Kind: "dummy"}}
			want := Desired(cluster(tt.forward), links, node)
			want.Director = tt.director
			if diff := cmp.Diff(tt.want, texts(problems(want, Found{Links: links, Addresses: tt.addresses})), comparing); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func texts(found []problem.Finding) []string {
	var all []string
	for _, f := range found {
		all = append(all, f.Text)
	}
	return all
}

func TestWhatIsOursAndOnItsWayOutIsNoProblem(t *testing.T) {
	links := []addr.Link{lo, eth0}
	wide := kernel.IfAddr{Interface: "lo", Prefix: netip.MustParsePrefix(vip + "/24")}
	have := Found{Links: links, Addresses: []addr.Address{there(wide, 0)}, OwnAddresses: []kernel.IfAddr{wide}}
	want := Desired(cluster(config.DR), links, node)
	want.Memberships = nil
	if got := problems(want, have); len(got) != 0 {
		t.Errorf("problems %v", got)
	}
}

func TestWayBack(t *testing.T) {
	outer, inner := netip.MustParseAddr(vip), netip.MustParseAddr("10.78.0.1")
	two := map[netip.Addr]string{netip.MustParseAddr("10.77.0.2"): "lvs-master", netip.MustParseAddr("10.77.0.3"): "lvs-backup"}
	one := map[netip.Addr]string{netip.MustParseAddr("10.77.0.2"): "lvs-master"}
	m := Membership{VIP: netip.AddrPortFrom(outer, 3306)}
	tests := []struct {
		name      string
		vips      []netip.Addr
		directors map[netip.Addr]string
		gateway   string
		want      string // substring; "": no problem
	}{
		{"the inner VIP", []netip.Addr{outer, inner}, two, "10.78.0.1", ""},
		{"the VIP itself, one-armed", []netip.Addr{outer}, two, vip, ""},
		{"the only director", nil, one, "10.77.0.2", ""},
		{"one director of two", []netip.Addr{outer, inner}, two, "10.77.0.3", "the own address of director lvs-backup, and are lost when another director is MASTER: point the route to the clients at a VIP that the directors hold: 10.78.0.1"},
		{"a router", []netip.Addr{outer, inner}, two, "10.77.0.254", "10.77.0.254, which is not a director's address"},
		{"none", []netip.Addr{outer}, two, "", "no gateway on their way to clients, so they do not pass a director, which forward: nat needs: point the route to the clients at a VIP that the directors hold in this subnet"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var gateway netip.Addr
			if tt.gateway != "" {
				gateway = netip.MustParseAddr(tt.gateway)
			}
			got := WayBack(tt.vips, tt.directors, m, gateway)
			if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("got %q\nwant it to contain %q", got, tt.want)
			}
		})
	}
}
