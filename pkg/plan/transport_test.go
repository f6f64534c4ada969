package plan

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// TestSourceOfAnInstance: from which address the adverts of an instance come, and why it cannot serve without it.
func TestSourceOfAnInstance(t *testing.T) {
	at := func(iface, prefix string, global bool) kernel.Address {
		return kernel.Address{Interface: iface, Prefix: netip.MustParsePrefix(prefix), Global: global}
	}
	ip := netip.MustParseAddr
	wired := []kernel.Address{
		at("eth0", "10.77.0.2/24", true), at("eth0", "10.77.0.9/24", true), at("eth1", "10.78.0.2/24", true),
		at("eth0", "fe80::2/64", false), at("eth0", "fd00::9/64", true), at("eth0", "fd00::2/64", true),
	}
	four := config.Instance{Interface: "eth0", VirtualAddresses: []netip.Prefix{netip.MustParsePrefix("10.77.0.100/32")}}
	six := config.Instance{Interface: "eth0", VirtualAddresses: []netip.Prefix{netip.MustParsePrefix("fd00::100/128")}}
	to := func(peers ...string) config.Transport {
		var all []netip.Addr
		for _, p := range peers {
			all = append(all, ip(p))
		}
		return config.Transport{Peers: config.UnicastPeers{Addresses: all}}
	}
	from := func(t config.Transport, source string) config.Transport {
		t.UnicastSource = ip(source)
		return t
	}
	for name, c := range map[string]struct {
		instance  config.Instance
		transport config.Transport
		node      string
		addresses []kernel.Address
		source    string
		fault     string
	}{
		"multicast":                     {four, config.Transport{}, "10.77.0.2", wired, "10.77.0.2", ""},
		"multicast, another source":     {four, config.Transport{MulticastSource: ip("10.77.0.9")}, "10.77.0.2", wired, "10.77.0.9", ""},
		"multicast, a missing source":   {four, config.Transport{MulticastSource: ip("10.77.0.8")}, "10.77.0.2", wired, "10.77.0.8", "does not have the address 10.77.0.8 (multicast_source)"},
		"unicast":                       {four, to("10.77.0.3"), "10.77.0.2", wired, "10.77.0.2", ""},
		"unicast, from elsewhere":       {four, from(to("10.77.0.3"), "10.78.0.2"), "10.77.0.2", wired, "10.78.0.2", ""},
		"unicast, a missing source":     {four, from(to("10.77.0.3"), "10.77.0.8"), "10.77.0.2", wired, "10.77.0.8", "does not have the address 10.77.0.8 (unicast_source)"},
		"unicast, a VIP as source":      {four, from(to("10.77.0.3"), "10.77.0.100"), "10.77.0.2", append(wired, at("eth0", "10.77.0.100/32", true)), "10.77.0.100", "does not have the address"},
		"unicast, no address":           {four, to("10.77.0.3"), "10.77.0.2", nil, "invalid IP", "has no IPv4 address of its own"},
		"unicast, only one elsewhere":   {four, from(to("10.77.0.3"), "10.78.0.2"), "10.77.0.2", wired[2:3], "10.78.0.2", ""},
		"IPv6":                          {six, config.Transport{}, "fd00::2", wired, "fe80::2", ""},
		"IPv6 unicast, on the link":     {six, to("fe80::3"), "fd00::2", wired, "fe80::2", ""},
		"IPv6 unicast":                  {six, to("fd00::3"), "fd00::2", wired, "fd00::2", ""},
		"IPv6 unicast, not in the file": {six, to("fd00::3"), "10.77.0.2", wired, "fd00::9", ""},
		"IPv6 unicast, WireGuard":       {six, to("fd00::3"), "10.77.0.2", wired[4:], "fd00::9", ""},
		"IPv6 unicast, no global one":   {six, to("fd00::3"), "10.77.0.2", wired[:4], "fe80::2", "has no global IPv6 address of its own"},
	} {
		c.instance.Transport, c.instance.VRID = c.transport, 51
		in := Inputs{
			Config: &config.Config{Directors: []config.Director{{Name: "a", Address: ip(c.node)}}, Instances: []config.Instance{c.instance}},
			Node:   "a", Looked: true, Addresses: c.addresses,
			Links: []kernel.Link{{Name: "eth0", Index: 2, Up: true, Carrier: true}},
		}
		planned := Of(in)
		got, judged := planned.Instances[0], planned.Judged(Inputs{Config: in.Config, NotReady: "not ready"}).Instances[0]
		if judged.Fault() != got.Fault() {
			t.Errorf("%s: fault %q once it is judged, %q before", name, judged.Fault(), got.Fault())
		}
		if got.Params.Source.String() != c.source || (got.Fault() == "") != (c.fault == "") || !strings.Contains(got.Fault(), c.fault) {
			t.Errorf("%s: source %s, fault %q; want %s, %q", name, got.Params.Source, got.Fault(), c.source, c.fault)
		}
		if got.Peers.Transport.Unicast != (len(c.transport.Peers.Addresses) > 0) {
			t.Errorf("%s: %+v", name, got.Peers.Transport)
		}
	}
}

// TestUnicastOnAnotherNetwork: the interface of an instance is not the one with the directors' addresses. With
// unicast_peers: true the others obey adverts from the director's address only; with a list the director leaves out its
// own address on the interface.
func TestUnicastOnAnotherNetwork(t *testing.T) {
	ip := netip.MustParseAddr
	for name, c := range map[string]struct{ peers, address, source, others string }{
		"all directors":    {"true", "10.77.0.2/24", "10.77.0.2", "[10.77.0.3]"},
		"address missing":  {"true", "10.77.0.9/24", "10.78.0.2", "[10.77.0.3]"},
		"a list":           {"[10.78.0.2, 10.78.0.3]", "10.77.0.2/24", "10.78.0.2", "[10.78.0.3]"},
		"a list of others": {"[10.78.0.3]", "10.77.0.2/24", "10.78.0.2", "[10.78.0.3]"},
	} {
		cfg, problems := config.Parse("cluster.yaml", []byte(`version: 1
directors: [{name: a, address: 10.77.0.2}, {name: b, address: 10.77.0.3}]
vrrp_instances:
  - {name: one, interface: eth1, virtual_router_id: 51, virtual_addresses: [10.78.0.100], unicast_peers: `+c.peers+`}
`))
		if cfg == nil {
			t.Fatal(problems)
		}
		in := Inputs{Config: cfg, Node: "a", Looked: true, Links: []kernel.Link{{Index: 2, Name: "eth0", Up: true, Carrier: true}, {Index: 3, Name: "eth1", Up: true, Carrier: true}}}
		for n, p := range []string{c.address, "10.78.0.2/24"} {
			in.Addresses = append(in.Addresses, kernel.Address{Interface: in.Links[n].Name, Prefix: netip.MustParsePrefix(p), Global: true})
		}
		got := Of(in).Instances[0]
		if got.Params.Source != ip(c.source) || fmt.Sprint(got.Peers.Transport.Peers) != c.others || got.Fault() != "" {
			t.Errorf("%s: from %s to %s, fault %q; want %s to %s", name, got.Params.Source, got.Peers.Transport.Peers, got.Fault(), c.source, c.others)
		}
	}
}

// TestPeersWithASourceOfTheirOwn: a director whose adverts come from its own multicast_source is no unknown router.
func TestPeersWithASourceOfTheirOwn(t *testing.T) {
	cfg, problems := config.Parse("cluster.yaml", []byte(`version: 1
directors: [{name: a, address: 10.77.0.2}, {name: b, address: 10.77.0.3}, {name: c, address: 10.77.0.4}]
vrrp_instances:
  - {name: one, interface: eth0, virtual_router_id: 51, virtual_addresses: [10.77.0.100], per_node: {b: {multicast_source: 10.77.0.30}}}
`))
	if cfg == nil {
		t.Fatal(problems)
	}
	got := Of(Inputs{Config: cfg, Node: "a"}).Instances[0].Peers.Directors
	if fmt.Sprint(got) != "[10.77.0.3 10.77.0.30 10.77.0.4]" {
		t.Errorf("the other directors are %s", got)
	}
}
