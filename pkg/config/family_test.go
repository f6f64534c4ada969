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

// IPv6 addresses are rejected with the same message wherever an address is allowed.
func TestIPv6IsRefused(t *testing.T) {
	const file = `version: 1
directors: [{name: lvs-master, address: 10.77.0.2}]
tracks: [{name: gateway, type: tcp, address: 10.77.0.1, port: 80}]
vrrp_instances:
  - {name: a, interface: eth0, virtual_router_id: 51, virtual_addresses: [10.77.0.100], tracks: [gateway]}
virtual_servers:
  - name: v
    address: 10.77.0.100
    port: 80
    scheduler: rr
    forward: dr
    checks: [{type: tcp}]
    real_servers: [{name: r, address: 10.77.0.11}]
`
	if cfg, problems := Parse("cluster.yaml", []byte(file)); cfg == nil || len(problems) > 0 {
		t.Fatal(problems)
	}
	for _, place := range []string{"address: 10.77.0.2", "address: 10.77.0.1,", "[10.77.0.100]", "address: 10.77.0.100", "address: 10.77.0.11"} {
		for _, six := range []string{"fd00::1", "::ffff:10.77.0.1", "fe80::1%eth0", "::"} {
			old := strings.Trim(strings.TrimPrefix(place, "address: "), "[],")
			text := strings.Replace(file, place, strings.Replace(place, old, `"`+six+`"`, 1), 1)
			cfg, problems := Parse("cluster.yaml", []byte(text))
			if cfg != nil || !strings.Contains(problems.String(), six+": IPv6 is not supported yet") {
				t.Errorf("%s in the place of %s: %s", six, place, problems)
			}
		}
	}
}
