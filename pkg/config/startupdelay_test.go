package config

import (
	"testing"
	"time"
)

// TestStartupDelay: that of the file is that of the instances without one, unless their group has one.
func TestStartupDelay(t *testing.T) {
	const file = `version: 1
directors:
  - {name: one, address: 10.77.0.2}
  - {name: two, address: 10.77.0.3}
startup_delay: 20s
vrrp_instances:
  - {name: common, interface: eth0, virtual_router_id: 51, virtual_addresses: [10.77.0.100]}
  - {name: own, interface: eth0, virtual_router_id: 52, virtual_addresses: [10.77.0.101], startup_delay: 3s}
  - {name: none, interface: eth0, virtual_router_id: 53, virtual_addresses: [10.77.0.102], startup_delay: 0s}
  - {name: node, interface: eth0, virtual_router_id: 54, virtual_addresses: [10.77.0.103], per_node: {one: {startup_delay: 5s}}}
  - {name: a, interface: eth0, virtual_router_id: 55, virtual_addresses: [10.77.0.104]}
  - {name: b, interface: eth0, virtual_router_id: 56, virtual_addresses: [10.77.0.105]}
  - {name: c, interface: eth0, virtual_router_id: 57, virtual_addresses: [10.77.0.106]}
  - {name: d, interface: eth0, virtual_router_id: 58, virtual_addresses: [10.77.0.107]}
sync_groups:
  - {name: delayed, instances: [a, b], startup_delay: 7s}
  - {name: plain, instances: [c, d]}
`
	cfg, problems := Parse("cluster.yaml", []byte(file))
	if cfg == nil {
		t.Fatal(problems)
	}
	for node, want := range map[string][]time.Duration{
		"one": {20, 3, 0, 5, 7, 7, 20, 20},
		"two": {20, 3, 0, 20, 7, 7, 20, 20},
	} {
		own := cfg.ForNode(node)
		for n, i := range own.Instances {
			if i.StartupDelay != want[n]*time.Second {
				t.Errorf("%s: %s: %s, want %d s", node, i.Name, i.StartupDelay, want[n])
			}
		}
	}
}
