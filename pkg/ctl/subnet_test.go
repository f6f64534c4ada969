package ctl

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// TestOutsideNetworks: a virtual address outside the networks of the director on which the file is checked is named.
func TestOutsideNetworks(t *testing.T) {
	cfg, problems := config.Parse("f", []byte(`version: 1
directors: [{name: a, address: 10.77.0.2}, {name: b, address: 10.77.0.3}]
vrrp_instances:
- {name: i, interface: eth0, virtual_router_id: 51, virtual_addresses: [10.77.0.100, 10.78.0.100], excluded_addresses: ["fd00::100"]}
`))
	if cfg == nil {
		t.Fatal(problems)
	}
	for local, want := range map[string]string{
		"127.0.0.1/8 10.77.0.2/24":                             "10.78.0.100 fd00::100",
		"10.77.0.3/24 10.78.0.3/24 fd00::3/64":                 "",
		"10.77.0.2/24 10.78.0.100/32 fd00::100/128 fe80::1/64": "10.78.0.100 fd00::100",
		"10.77.0.4/24": "", // no director
	} {
		var prefixes []netip.Prefix
		for text := range strings.FieldsSeq(local) {
			prefixes = append(prefixes, netip.MustParsePrefix(text))
		}
		var got []string
		for _, text := range outsideNetworks(cfg, prefixes) {
			got = append(got, strings.Fields(text)[3])
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q", local, got, want)
		}
	}
}
