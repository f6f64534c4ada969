package plan

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

func TestStray(t *testing.T) {
	cfg, problems := config.Parse("cluster.yaml", []byte(`version: 1
directors: [{name: lvs-master, address: 10.77.0.2}]
vrrp_instances:
  - {name: a, interface: eth0, virtual_router_id: 51, virtual_addresses: [10.77.0.100], excluded_addresses: [10.77.0.101]}
`))
	if cfg == nil {
		t.Fatal(problems)
	}
	links := []kernel.Link{
		{Name: "lo", Loopback: true, Kind: "device"},
		{Name: "eth0", Kind: "device"},
		{Name: "eth1", Kind: "device"},
		{Name: "tunl0", Kind: "ipip"},
		{Name: "dummy0", Kind: "dummy"},
	}
	for _, tt := range []struct {
		iface, prefix string
		lease         time.Duration
		want          bool
	}{
		{"eth0", "10.77.0.100/32", 3 * time.Second, false}, // a director's own
		{"eth0", "10.77.0.100/32", 0, true},
		{"eth0", "10.77.0.100/24", 0, true},
		{"eth0", "10.77.0.100/24", time.Hour, true}, // DHCP
		{"eth1", "10.77.0.100/32", 0, true},
		{"eth1", "10.77.0.100/32", time.Second, true},
		{"lo", "10.77.0.100/32", 0, false},
		{"lo", "10.77.0.100/24", 0, false}, // the agent reports it
		{"tunl0", "10.77.0.100/32", 0, false},
		{"dummy0", "10.77.0.100/32", 0, false},
		{"eth0", "10.77.0.2/24", 0, false},
		{"eth0", "10.77.0.101/32", 3 * time.Second, false}, // excluded
		{"eth0", "10.77.0.101/32", 0, true},
		{"eth1", "10.77.0.101/32", time.Second, true},
	} {
		a := kernel.Address{Interface: tt.iface, Prefix: netip.MustParsePrefix(tt.prefix), Valid: tt.lease, Global: true}
		var want []string
		if tt.want {
			want = []string{a.IfAddr().String()}
		}
		var got []string
		for _, at := range Of(Inputs{Config: cfg, Node: node, Links: links, Addresses: []kernel.Address{a}, Looked: true}).Stray {
			got = append(got, at.String())
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", tt, diff)
		}
	}
}

// TestAnswered: a VIP on lo is answered for by a NIC, unless arp_ignore forbids it.
func TestAnswered(t *testing.T) {
	cfg, problems := config.Parse("cluster.yaml", []byte(`version: 1
directors: [{name: lvs-master, address: 10.77.0.2}]
vrrp_instances:
  - {name: a, interface: eth0, virtual_router_id: 51, virtual_addresses: [10.77.0.100]}
`))
	if cfg == nil {
		t.Fatal(problems)
	}
	links := []kernel.Link{{Name: "lo", Loopback: true}, {Name: "eth0"}, {Name: "tunl0", Kind: "ipip"}}
	for _, tt := range []struct {
		iface, all, own string
		want            bool
	}{
		{"lo", "0", "0", true},
		{"tunl0", "0", "0", true},
		{"lo", "1", "0", false},
		{"lo", "0", "1", false},
		{"lo", "0", "2", false},
		{"lo", "0", "3", true}, // depends on the scope, and answers for a global address
		{"lo", "1", "3", true}, // the larger value counts
		{"lo", "0", "8", false},
		{"lo", "", "0", false}, // cannot be read
		{"eth0", "0", "0", false},
	} {
		local := []kernel.Address{{Interface: tt.iface, Prefix: netip.MustParsePrefix("10.77.0.100/32"), Global: true}}
		got := Answered(cfg.ForNode(node), links, local, func(iface string) string { return map[string]string{"all": tt.all, "eth0": tt.own}[iface] })
		if (len(got) == 1) != tt.want || tt.want && got[local[0].IfAddr()] != "eth0" {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}

// A VIP that the file puts on an interface that never answers ARP is there only while this director is MASTER.
func TestAnsweredPlaced(t *testing.T) {
	cfg, problems := config.Parse("cluster.yaml", []byte(`version: 1
directors: [{name: lvs-master, address: 10.77.0.2}]
vrrp_instances:
  - name: a
    interface: eth0
    virtual_router_id: 51
    virtual_addresses: [10.77.0.100, 10.77.0.101]
    address_options: [{address: 10.77.0.100, interface: dummy0}]
`))
	if cfg == nil {
		t.Fatal(problems)
	}
	links := []kernel.Link{{Name: "lo", Loopback: true}, {Name: "eth0"}, {Name: "dummy0", Kind: "dummy"}}
	for _, tt := range []struct {
		iface, vip string
		lease      time.Duration
		want       bool
	}{
		{"dummy0", "10.77.0.100/32", 3 * time.Second, false},
		{"dummy0", "10.77.0.100/32", 0, true}, // somebody else has added it, and it stays
		{"dummy0", "10.77.0.100/24", 3 * time.Second, true},
		{"dummy0", "10.77.0.101/32", 3 * time.Second, true}, // the file puts it on eth0
		{"lo", "10.77.0.100/32", 3 * time.Second, true},
		{"eth0", "10.77.0.101/32", 3 * time.Second, false},
	} {
		local := []kernel.Address{{Interface: tt.iface, Prefix: netip.MustParsePrefix(tt.vip), Global: true, Valid: tt.lease}}
		got := Answered(cfg.ForNode(node), links, local, func(string) string { return "0" })
		if (len(got) == 1) != tt.want || tt.want && got[local[0].IfAddr()] != "eth0" {
			t.Errorf("%+v: %v", tt, got)
		}
	}
	if got := Answered(cfg.ForNode(node), links, []kernel.Address{{Interface: "lo", Prefix: netip.MustParsePrefix("10.77.0.100/32")}},
		func(iface string) string { return map[string]string{"all": "0", "eth0": "1", "dummy0": "0"}[iface] }); len(got) != 0 {
		t.Errorf("eth0 answers for no addresses of other interfaces: %v", got)
	}
}
