package director

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
)

func TestExamine(t *testing.T) {
	own := netip.MustParseAddr("10.77.0.2")
	tests := []struct {
		name   string
		known  []addr.Link
		source netip.Addr
		fault  string
	}{
		{"fine", []addr.Link{{Name: "eth0", Up: true, Carrier: true}}, own, ""},
		{"absent", []addr.Link{{Name: "eth1", Up: true, Carrier: true}}, own, "the interface eth0 does not exist"},
		{"down", []addr.Link{{Name: "eth0"}}, own, "the interface eth0 is down (ip link set eth0 up)"},
		{"no carrier", []addr.Link{{Name: "eth0", Up: true}}, own, "the interface eth0 has no carrier: check its cable and switch port"},
		{"no address", []addr.Link{{Name: "eth0", Up: true, Carrier: true}}, netip.Addr{}, "the interface eth0 has no IPv4 address of its own to send adverts from"},
	}
	for _, tt := range tests {
		fault, from := examine("eth0", tt.known, tt.source)
		if fault != tt.fault || from.IsValid() != (tt.fault == "") {
			t.Errorf("%s: %q from %s, want %q", tt.name, fault, from, tt.fault)
		}
	}
}

func TestAdvertsComeFromAnAddressThatIsNoVIP(t *testing.T) {
	for _, tt := range []struct{ node, iface, want string }{
		{"10.77.0.2", "eth0", "10.77.0.2"}, // its own, though not the first
		{"10.77.0.3", "eth0", "10.77.0.9"}, // the first of the interface
		{"10.77.0.2", "eth1", "10.88.0.2"}, // neither IPv6 nor link-local nor a VIP
		{"10.77.0.2", "lo", "invalid IP"},
		{"10.77.0.2", "eth7", "invalid IP"},
	} {
		d := New(Options{Config: vipFile(), Node: config.Director{Name: "lvs-master", Address: netip.MustParseAddr(tt.node)}})
		d.local = local
		if got := d.sources()(tt.iface).String(); got != tt.want {
			t.Errorf("node %s on %s: %s, want %s", tt.node, tt.iface, got, tt.want)
		}
	}
}

// The kernel lists an interface's first address first.
func TestMisplacedVIPs(t *testing.T) {
	vip := isVIP(vipFile())
	behind := slices.Clone(local)
	slices.SortStableFunc(behind, func(a, b addr.Address) int {
		switch x, y := vip(a.Prefix.Addr()), vip(b.Prefix.Addr()); {
		case x == y:
			return 0
		case x:
			return 1
		default:
			return -1
		}
	})
	alone := []addr.Address{{Interface: "eth0", Prefix: netip.MustParsePrefix("10.77.0.100/32"), Global: true}, {Interface: "eth1", Prefix: netip.MustParsePrefix("10.88.0.2/24"), Global: true}}
	outer, inner := kernel.IfAddr{Interface: "eth0", Prefix: netip.MustParsePrefix("10.77.0.100/32")}, kernel.IfAddr{Interface: "eth1", Prefix: netip.MustParsePrefix("10.88.0.100/32")}
	for _, tt := range []struct {
		name  string
		local []addr.Address
		want  []kernel.IfAddr
	}{
		{"first on both, link-local ones left out", local, []kernel.IfAddr{outer, inner}},
		{"last", behind, nil},
		{"without an own address there is no order", alone, nil},
	} {
		if got := misplaced(tt.local, vip); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestMissingVIPs(t *testing.T) {
	d := New(Options{Config: vipFile(), Node: config.Director{Name: "lvs-master"}})
	outer := kernel.IfAddr{Interface: "eth0", Prefix: netip.MustParsePrefix("10.77.0.100/32")}
	without := slices.DeleteFunc(slices.Clone(local), func(a addr.Address) bool { return a.Prefix == outer.Prefix })
	if got := missing(d.vips(d.cfg), local); got != nil {
		t.Errorf("all are there: %v", got)
	}
	if got := missing(d.vips(d.cfg), without); !slices.Equal(got, []kernel.IfAddr{outer}) {
		t.Errorf("%v, want %v", got, outer)
	}
}
