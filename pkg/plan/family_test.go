package plan

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// both returns a file with virtual router 51 on eth0 in both families, which are two virtual routers (RFC 9568, section
// 1).
func both() *config.Config {
	cfg := vipFile()
	cfg.Instances = []config.Instance{
		{Name: "four", Interface: "eth0", VRID: 51, VirtualAddresses: []netip.Prefix{netip.MustParsePrefix("10.77.0.100/32")}},
		{Name: "six", Interface: "eth0", VRID: 51, VirtualAddresses: []netip.Prefix{netip.MustParsePrefix("fd00:77::100/128")}},
	}
	return cfg
}

var localBoth = []kernel.Address{
	{Interface: "eth0", Prefix: netip.MustParsePrefix("fd00:77::100/128"), Global: true},
	{Interface: "eth0", Prefix: netip.MustParsePrefix("fd00:77::2/64"), Global: true},
	{Interface: "eth0", Prefix: netip.MustParsePrefix("10.77.0.2/24"), Global: true},
	{Interface: "eth1", Prefix: netip.MustParsePrefix("fe80::9/64")},
	{Interface: "eth0", Prefix: netip.MustParsePrefix("fe80::1/64"), Duplicate: true},
	{Interface: "eth0", Prefix: netip.MustParsePrefix("fe80::2/64")},
	{Interface: "eth0", Prefix: netip.MustParsePrefix("10.77.0.100/32"), Global: true},
}

// Each family of an interface has its socket, its source and its faults.
func TestSegments(t *testing.T) {
	in := inputs(both())
	in.Addresses = localBoth
	p := Of(in)
	if len(p.Links) != 2 || p.Links[0].String() != "eth0" || p.Links[1].String() != "eth0 (IPv6)" {
		t.Fatalf("segments: %v", p.Links)
	}
	for n, want := range []string{"10.77.0.2", "fe80::2"} {
		if i := p.Instances[n]; i.Params.Source.String() != want || i.Fault() != "" || i.Segment != p.Links[n].Segment {
			t.Errorf("%s takes part on %s from %s, %q", i.ID, i.Segment, i.Params.Source, i.Fault())
		}
	}
	if len(p.Misplaced) != 0 {
		t.Errorf("an IPv6 VIP is never a source, but is reported as misplaced: %v", p.Misplaced)
	}
	steps := stepText(Transition(Plan{}, p))
	if want := "open the socket of eth0; open the socket of eth0 (IPv6)"; !strings.Contains(steps, want) {
		t.Errorf("%s; want %s", steps, want)
	}

	fe80 := netip.MustParsePrefix("fe80::2/64")
	for _, tt := range []struct {
		linkLocal []kernel.Address
		want      string
	}{
		{nil, "the interface eth0 has no link-local IPv6 address of its own to send adverts from (see net.ipv6.conf.eth0.disable_ipv6 and addr_gen_mode)"},
		{
			[]kernel.Address{{Interface: "eth0", Prefix: fe80, Tentative: true}},
			"the link-local address fe80::2 of the interface eth0 cannot be used yet: the kernel is looking for another machine with it, for a second or two",
		},
		{
			[]kernel.Address{{Interface: "eth0", Prefix: fe80, Duplicate: true}},
			"another machine has the link-local address fe80::2 of the interface eth0 as well: give one of them another address (ip addr shows dadfailed)",
		},
		{[]kernel.Address{{Interface: "eth0", Prefix: fe80, Duplicate: true}, {Interface: "eth0", Prefix: netip.MustParsePrefix("fe80::3/64")}}, ""},
	} {
		in.Addresses = append([]kernel.Address{localBoth[1], localBoth[2]}, tt.linkLocal...)
		p := Of(in)
		if f := p.Instances[1].Fault(); f != tt.want {
			t.Errorf("with %v the fault is %q, want %q", tt.linkLocal, f, tt.want)
		}
		if f := p.Instances[0].Fault(); f != "" {
			t.Errorf("the other family has a fault of it: %q", f)
		}
	}
}

// A link-local VIP is no source, and comes first in adverts. If the director's own address in the file is a link-local one
// it is the source, and then the file knows every director on the segment.
func TestLinkLocal(t *testing.T) {
	cfg := both()
	cfg.Instances[1].VirtualAddresses = append(cfg.Instances[1].VirtualAddresses, netip.MustParsePrefix("fe80::2/128"))
	in := inputs(cfg)
	in.Addresses = []kernel.Address{
		{Interface: "eth0", Prefix: netip.MustParsePrefix("fe80::2/128")},
		{Interface: "eth0", Prefix: netip.MustParsePrefix("fe80::9/64")},
		{Interface: "eth0", Prefix: netip.MustParsePrefix("fe80::5/64")},
		{Interface: "eth0", Prefix: netip.MustParsePrefix("fd00:77::2/64"), Global: true},
	}
	for own, want := range map[string]string{"fd00:77::2": "fe80::9", "10.77.0.2": "fe80::9", "fe80::5": "fe80::5", "fe80::2": "fe80::9"} {
		for n := range cfg.Directors {
			if cfg.Directors[n].Name == in.Node {
				cfg.Directors[n].Address = netip.MustParseAddr(own)
			}
		}
		i := Of(in).Instances[1]
		if i.Params.Source.String() != want || i.Peers.Complete != (own == want) {
			t.Errorf("address %s: adverts from %s, complete %t; want %s", own, i.Params.Source, i.Peers.Complete, want)
		}
		if a := i.Advertised; len(a) != 2 || a[0].String() != "fe80::2" {
			t.Errorf("adverts list %v", a)
		}
	}
}

// An instance whose VIPs change to the other family is another virtual router.
func TestAnotherFamilyIsAnotherRouter(t *testing.T) {
	in := inputs(both())
	in.Config.Instances = in.Config.Instances[:1]
	in.Addresses = localBoth
	from := Of(in)
	next := both()
	next.Instances = next.Instances[1:]
	next.Instances[0].Name = "four"
	in.Config = next
	got := stepText(Transition(from, Of(in)))
	want := "record the VIPs; open the socket of eth0 (IPv6); set the table; set the VIPs of four, four; stop four; set the VIPs of four; " +
		"start four; close the socket of eth0; remove the records of old VIPs"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// NAT needs forwarding in the family of its clients.
func TestSysctlsByFamily(t *testing.T) {
	for _, tt := range []struct{ vip, set, unset string }{
		{"10.77.0.100", "net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"},
		{"fd00:77::100", "net.ipv6.conf.all.forwarding", "net.ipv4.ip_forward"},
	} {
		cfg := both()
		cfg.VirtualServers = []config.VirtualServer{{Name: "v", Protocol: "tcp", Forward: config.NAT, Address: netip.MustParseAddr(tt.vip), Port: 80}}
		got := sysctls(cfg)
		if got[tt.set] != "1" || got[tt.unset] != "" {
			t.Errorf("%s: %v", tt.vip, got)
		}
	}
}

func stepText(steps []Step) string {
	var all []string
	for _, s := range steps {
		all = append(all, s.String())
	}
	return strings.Join(all, "; ")
}

func TestSegmentsAreOrdered(t *testing.T) {
	four, six := vrrp.Segment{Interface: "eth0", Family: kernel.IPv4}, vrrp.Segment{Interface: "eth0", Family: kernel.IPv6}
	other := vrrp.Segment{Interface: "eth1", Family: kernel.IPv4}
	if four.Compare(six) >= 0 || six.Compare(other) >= 0 || four.Compare(four) != 0 {
		t.Errorf("%s, %s, %s are not in order", four, six, other)
	}
}
