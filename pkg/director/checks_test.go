package director

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// local is a director with two networks, which holds a VIP on each.
var local = []addr.Address{
	{Interface: "lo", Prefix: netip.MustParsePrefix("127.0.0.1/8")},
	{Interface: "eth0", Prefix: netip.MustParsePrefix("10.77.0.100/32"), Global: true},
	{Interface: "eth0", Prefix: netip.MustParsePrefix("10.77.0.9/24"), Global: true},
	{Interface: "eth0", Prefix: netip.MustParsePrefix("10.77.0.2/24"), Global: true},
	{Interface: "eth1", Prefix: netip.MustParsePrefix("fe80::2/64")},
	{Interface: "eth1", Prefix: netip.MustParsePrefix("169.254.0.1/16")},
	{Interface: "eth1", Prefix: netip.MustParsePrefix("10.88.0.100/32"), Global: true},
	{Interface: "eth1", Prefix: netip.MustParsePrefix("10.88.0.2/24"), Global: true},
}

func vipFile() *config.Config {
	return &config.Config{
		Instances: []config.Instance{
			{Name: "outer", Interface: "eth0", VirtualAddresses: []netip.Prefix{netip.MustParsePrefix("10.77.0.100/32")}, Tracks: []string{"gateway"}},
			{Name: "inner", Interface: "eth1", VirtualAddresses: []netip.Prefix{netip.MustParsePrefix("10.88.0.100/32")}},
		},
		Tracks: []config.Track{
			{Name: "gateway", Address: netip.MustParseAddr("10.77.0.1"), Check: config.Check{Kind: config.TCPCheck{}, Port: 80}},
			{Name: "nobody", Address: netip.MustParseAddr("10.77.0.1"), Check: config.Check{Kind: config.TCPCheck{}, Port: 81}},
		},
		VirtualServers: []config.VirtualServer{{
			Name: "mysql", Protocol: "tcp", Address: netip.MustParseAddr("10.77.0.100"), Port: 3306,
			RealServers: []config.RealServer{
				{Name: "mysql1", Address: netip.MustParseAddr("10.88.0.11"), Port: 3306},
				{Name: "mysql2", Address: netip.MustParseAddr("192.0.2.12"), Port: 3306},
			},
		}},
	}
}

// TestServed: whoever stands in the table for a virtual server was served, and for that one only.
func TestServed(t *testing.T) {
	d := New(Options{Config: vipFile(), Node: config.Director{Name: "lvs-master", Address: netip.MustParseAddr("10.77.0.2")}})
	mysql := lvs.KeyOf(d.cfg.VirtualServers[0])
	other := mysql
	other.Port++
	entry := func(address string) lvs.Server { return lvs.Server{Address: netip.MustParseAddr(address), Port: 3306} }
	found := []lvs.Service{{Key: other, Servers: []lvs.Server{entry("192.0.2.12")}}, {Key: mysql, Servers: []lvs.Server{entry("10.88.0.11"), entry("10.88.0.99")}}}
	got := map[string]bool{}
	for _, s := range served(d.checks(d.cfg), d.cfg, found) {
		got[s.Subject.String()] = s.Served
	}
	want := map[string]bool{"mysql/mysql1": true, "mysql/mysql2": false, "track gateway": false}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("served (-want +got):\n%s", diff)
	}
}

func TestChecksHaveASourceThatIsNoVIP(t *testing.T) {
	d := New(Options{Config: vipFile(), Node: config.Director{Name: "lvs-master", Address: netip.MustParseAddr("10.77.0.2")}})
	d.local = local
	got := map[string]string{}
	for _, s := range d.checks(d.cfg) {
		got[s.Subject.String()] = s.Source.String()
	}
	want := map[string]string{
		"mysql/mysql1":  "10.88.0.2", // on its network
		"mysql/mysql2":  "10.77.0.2", // behind a router: the director's own
		"track gateway": "10.77.0.9", // the first on its network
		// nobody is tracked by no instance of this node
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sources (-want +got):\n%s", diff)
	}
}
