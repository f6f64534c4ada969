package config

import (
	"net/netip"
	"strings"
	"testing"
)

// Two instances with the same id on one interface conflict unless their address families differ.
func TestRoutersOfBothFamilies(t *testing.T) {
	const file = `version: 1
directors: [{name: lvs-master, address: 10.77.0.2}]
vrrp_instances:
  - {name: first, interface: eth0, virtual_router_id: 51, virtual_addresses: [10.77.0.100]}
  - {name: second, interface: eth0, virtual_router_id: 52, virtual_addresses: [10.77.0.101]}
`
	four, six := netip.MustParsePrefix("10.77.0.100/32"), netip.MustParsePrefix("fd00::100/128")
	for _, tt := range []struct {
		name          string
		first, second []netip.Prefix
		clash         bool
	}{
		{"IPv4", []netip.Prefix{four}, []netip.Prefix{four}, true},
		{"IPv6", []netip.Prefix{six}, []netip.Prefix{six}, true},
		{"both", []netip.Prefix{four}, []netip.Prefix{six}, false},
		{"not known", []netip.Prefix{four}, []netip.Prefix{{}}, true},
	} {
		sections := newClusterFile()
		r := &reader{name: "cluster.yaml", file: sections, confusableLines: map[int]bool{}}
		root := value{r: r}.at(r.document([]byte(file)), "")
		top, _ := root.object(&sections.top.section)
		top.meant["version"] = true
		var c contents
		sections.top.take(top, &c)
		if len(r.problems) > 0 || len(c.instances) != 2 {
			t.Fatal(r.problems)
		}
		c.instances[1].v.VRID = 51
		c.instances[0].v.VirtualAddresses, c.instances[1].v.VirtualAddresses = tt.first, tt.second
		c.checkRouters()
		clash := len(r.problems) == 1 && strings.Contains(r.problems[0].String(), "51 is used by instance \"first\" on eth0 of lvs-master already")
		if clash != tt.clash || !clash && len(r.problems) > 0 {
			t.Errorf("%s: %v", tt.name, r.problems)
		}
	}
}

// Adverts begin with a link-local address if there is one (RFC 9568, section 5.2.9), and keep the order of the file
// otherwise.
func TestOrderOfAdverts(t *testing.T) {
	for _, tt := range []struct{ file, want string }{
		{"10.77.0.101, 10.77.0.100, 169.254.0.1", "10.77.0.101 10.77.0.100 169.254.0.1"},
		{"fd00::2, fd00::1", "fd00::2 fd00::1"},
		{"fd00::2, fe80::9, fd00::1, fe80::8", "fe80::9 fe80::8 fd00::2 fd00::1"},
	} {
		cfg, problems := Parse("cluster.yaml", []byte(`version: 1
directors: [{name: lvs-master, address: 10.77.0.2}]
vrrp_instances:
  - {name: a, interface: eth0, virtual_router_id: 51, virtual_addresses: [`+tt.file+`]}
`))
		if cfg == nil || len(problems) > 0 {
			t.Fatal(problems)
		}
		var got []string
		for _, a := range cfg.Instances[0].Advertised() {
			got = append(got, a.String())
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: adverts list %v, want %s", tt.file, got, tt.want)
		}
	}
}
