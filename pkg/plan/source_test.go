package plan

import (
	"net/netip"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// TestSources: probes come from an address of the interface by which the route leaves, and never from a VIP.
func TestSources(t *testing.T) {
	in := inputs(vipFile())
	in.Addresses = append(in.Addresses,
		kernel.Address{Interface: "eth2", Prefix: netip.MustParsePrefix("10.99.0.100/32"), Global: true},
		kernel.Address{Interface: "eth1", Prefix: netip.MustParsePrefix("fd00:88::2/64"), Global: true},
		kernel.Address{Interface: "eth0", Prefix: netip.MustParsePrefix("fd00:77::2/64"), Global: true, Tentative: true},
	)
	in.Config.Instances[1].VirtualAddresses = append(in.Config.Instances[1].VirtualAddresses, netip.MustParsePrefix("10.99.0.100/32"))
	in.Config.Instances[1].VirtualAddresses = append(in.Config.Instances[1].VirtualAddresses, netip.MustParsePrefix("10.66.0.100/32"))
	s := Of(in).Sources
	for _, tt := range []struct{ name, chosen, want string }{
		{"the other interface", "10.88.0.2", "10.88.0.2"},
		{"the director's own address", "10.77.0.2", "10.77.0.2"},
		{"beside the director's own address", "10.77.0.9", "10.77.0.2"},
		{"a VIP", "10.77.0.100", "invalid IP"},
		{"a VIP of another interface", "10.99.0.100", "invalid IP"},
		{"a VIP added a moment ago", "10.66.0.100", "invalid IP"},
		{"this host", "127.0.0.1", "127.0.0.1"},
		{"an address added a moment ago", "10.66.0.1", "10.66.0.1"},
		{"IPv6", "fd00:88::2", "fd00:88::2"},
		{"no route", "invalid IP", "invalid IP"},
	} {
		chosen, _ := netip.ParseAddr(tt.chosen)
		if got := s.Route(chosen); got.String() != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	for family, want := range map[kernel.Family]string{kernel.IPv4: "10.77.0.2", kernel.IPv6: "fd00:88::2"} {
		if got := s.Here(family); got.String() != want {
			t.Errorf("an address of this host, %s: %s, want %s", family, got, want)
		}
	}
	for _, tt := range []struct {
		source      string
		family      kernel.Family
		want, wrong string
	}{
		{config.SourceDirector, kernel.IPv4, "10.77.0.2", ""},
		{config.SourceDirector, kernel.IPv6, "", "source: the director's own address 10.77.0.2 is not IPv6"},
		{"eth0", kernel.IPv4, "10.77.0.2", ""},
		{"eth1", kernel.IPv4, "10.88.0.2", ""},
		{"eth1", kernel.IPv6, "fd00:88::2", ""},
		{"eth0", kernel.IPv6, "", "source: the interface eth0 of this director has no IPv6 address of its own"},
		{"eth2", kernel.IPv4, "", "source: this director has no interface eth2"}, // it has an address, but is gone by now
	} {
		got, err := s.Named(tt.source, tt.family)
		if tt.wrong != "" && (err == nil || err.Error() != tt.wrong) || tt.wrong == "" && (err != nil || got.String() != tt.want) {
			t.Errorf("source: %s, %s: %s, %v; want %s%s", tt.source, tt.family, got, err, tt.want, tt.wrong)
		}
	}
}

// TestCut: a probe without an answer says nothing about the server if the interface of its source has no carrier.
func TestCut(t *testing.T) {
	in := inputs(vipFile())
	in.Links = []kernel.Link{{Name: "eth0", Up: true, Carrier: true}, {Name: "eth1", Up: true}}
	for source, want := range map[string]string{
		"10.77.0.2": "", "10.88.0.2": "the interface eth1 of this director has no carrier: check its cable and switch port", "127.0.0.1": "", "10.66.0.1": "",
	} {
		if got := Of(in).Sources.Cut(netip.MustParseAddr(source)); got != want {
			t.Errorf("%s: %q, want %q", source, got, want)
		}
	}
	in.Links[1].Up = false
	if got := Of(in).Sources.Cut(netip.MustParseAddr("10.88.0.2")); got != "the interface eth1 of this director is down" {
		t.Error(got)
	}
}
