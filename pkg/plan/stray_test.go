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
  - {name: a, interface: eth0, virtual_router_id: 51, virtual_addresses: [10.77.0.100]}
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
