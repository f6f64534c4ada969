package config_test

import (
	"fmt"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// TestPeerBFDOfANode: each director has BFD sessions with the addresses from which the others send their adverts.
func TestPeerBFDOfANode(t *testing.T) {
	const head = "version: 1\ndirectors: [{name: a, address: 10.77.0.2}, {name: b, address: 10.77.0.3}, {name: c, address: 10.77.0.4}]\n" +
		"vrrp_instances:\n  - name: v\n    interface: eth0\n    virtual_router_id: 51\n"
	const four, six = "    virtual_addresses: [10.77.0.100]\n", "    virtual_addresses: ['fd77::100']\n"
	for name, c := range map[string]struct{ file, a, b string }{
		"none":                 {four, "", ""},
		"the directors":        {four + "    peer_bfd: {}\n", "[10.77.0.3 10.77.0.4]", "[10.77.0.2 10.77.0.4]"},
		"unicast to directors": {four + "    peer_bfd: {}\n    unicast_peers: true\n", "[10.77.0.3 10.77.0.4]", "[10.77.0.2 10.77.0.4]"},
		"unicast to a list": {
			four + "    peer_bfd: {}\n    unicast_peers: [10.88.0.2, 10.88.0.3]\n    per_node: {a: {unicast_source: 10.88.0.2}, b: {unicast_source: 10.88.0.3}, c: {unicast_source: 10.88.0.4}}\n",
			"[10.88.0.3]", "[10.88.0.2]",
		},
		"sources of their own": {
			four + "    peer_bfd: {}\n    per_node: {a: {multicast_source: 10.88.0.2}, b: {multicast_source: 10.88.0.3}}\n",
			"[10.88.0.3 10.77.0.4]", "[10.88.0.2 10.77.0.4]",
		},
		"a list": {four + "    peer_bfd: {addresses: [10.77.0.2, 10.77.0.3]}\n", "[10.77.0.3]", "[10.77.0.2]"},
		"IPv6":   {six + "    peer_bfd: {addresses: ['fe80::2', 'fe80::3']}\n", "[fe80::2 fe80::3]", "[fe80::2 fe80::3]"},
	} {
		cfg, problems := config.Parse("cluster.yaml", []byte(head+c.file))
		if cfg == nil {
			t.Errorf("%s: %v", name, problems)
			continue
		}
		of := func(node string) string {
			p := cfg.ForNode(node).ForNode(node).Instances[0].PeerBFD
			if p == nil {
				return ""
			}
			return fmt.Sprint(p.Addresses)
		}
		if a, b := of("a"), of("b"); a != c.a || b != c.b {
			t.Errorf("%s: %s and %s, want %s and %s", name, a, b, c.a, c.b)
		}
		if cfg.Instances[0].PeerBFD != nil && cfg.ForNode("a").Instances[0].PeerBFD == cfg.Instances[0].PeerBFD {
			t.Errorf("%s: shared with the file", name)
		}
	}
}
