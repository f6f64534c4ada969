package config_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lvs-director/lvs-director/pkg/config"
)

func portText(port uint16) string { return strconv.Itoa(int(port)) }

// The default lease, calculated by hand: 3 adverts plus the skew, rounded up to seconds, plus one second.
func TestDefaultLease(t *testing.T) {
	for _, tt := range []struct {
		version  int
		interval string
		priority int
		want     time.Duration
	}{
		{3, "1s", 100, 5 * time.Second},     // 3 s + 156/256 s
		{3, "1s", 255, 5 * time.Second},     // 3 s + 1/256 s
		{3, "100ms", 100, 3 * time.Second},  // 0.36 s, and never less than 3 s
		{3, "10s", 100, 38 * time.Second},   // 30 s + 6.1 s
		{2, "10s", 100, 32 * time.Second},   // 30 s + 0.61 s: a version 2 skew does not grow with the interval
		{3, "40.95s", 1, 165 * time.Second}, // 122.85 s + 40.79 s
		{2, "255s", 1, 767 * time.Second},   // 765 s + 0.99 s
	} {
		file := fmt.Sprintf(`version: 1
directors: [{name: a, address: 10.0.0.1}]
vrrp_instances:
  - {name: i, interface: eth0, virtual_router_id: 1, virtual_addresses: [10.0.0.9],
     protocol_version: %d, advert_interval: %s, priority: %d}
`, tt.version, tt.interval, tt.priority)
		c, problems := config.Parse("f", []byte(file))
		if c == nil {
			t.Errorf("v%d %s %d: %s", tt.version, tt.interval, tt.priority, problems)
			continue
		}
		if got := c.Instances[0].Lease; got != tt.want {
			t.Errorf("v%d, advert %s, priority %d: lease %v, want %v", tt.version, tt.interval, tt.priority, got, tt.want)
		}
	}
}

// The director with the longest master-down interval determines the lease on all.
func TestDefaultLeaseOfSlowest(t *testing.T) {
	const file = `version: 1
directors: [{name: a, address: 10.0.0.1}, {name: b, address: 10.0.0.2}]
vrrp_instances:
  - {name: i, interface: eth0, virtual_router_id: 1, virtual_addresses: [10.0.0.9], advert_interval: 10s, priority: 254,
     per_node: {b: {priority: 1}}}
`
	c, problems := config.Parse("f", []byte(file))
	if c == nil {
		t.Fatal(problems)
	}
	if got, want := c.Instances[0].Lease, 41*time.Second; got != want { // 30 s + 9.96 s
		t.Errorf("lease %v, want %v", got, want)
	}
}

// Valid values are read as written.
func TestWrittenIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		interval := 10 * time.Millisecond * time.Duration(rapid.IntRange(1, 4095).Draw(t, "interval"))
		vrid := rapid.IntRange(1, 255).Draw(t, "vrid")
		priority := rapid.IntRange(1, 255).Draw(t, "priority")
		port := rapid.IntRange(1, 65535).Draw(t, "port")
		weight := rapid.IntRange(0, 65535).Draw(t, "weight")
		name := rapid.StringMatching(`[A-Za-z0-9._-]{1,63}`).Draw(t, "name")
		text := strings.NewReplacer(
			"INTERVAL", interval.String(), "VRID", strconv.Itoa(vrid), "PRIORITY", strconv.Itoa(priority),
			"PORT", strconv.Itoa(port), "WEIGHT", strconv.Itoa(weight), "NAME", name,
		).Replace(`version: 1
directors: [{name: "NAME", address: 10.0.0.1}]
vrrp_instances:
  - {name: "NAME", interface: eth0, virtual_router_id: VRID, advert_interval: INTERVAL, priority: PRIORITY, virtual_addresses: [10.0.0.9]}
virtual_servers:
  - name: "NAME"
    address: 10.0.0.9
    port: PORT
    scheduler: rr
    forward: dr
    real_servers: [{name: "NAME", address: 10.0.0.11, weight: WEIGHT}]
`)
		c, problems := config.Parse("f", []byte(text))
		if c == nil {
			t.Fatalf("%s\n%s", problems, text)
		}
		checkConfig(t, c)
		in, s := c.Instances[0], c.VirtualServers[0]
		if in.AdvertInterval != interval || int(in.VRID) != vrid || int(in.Priority) != priority || in.Name != name {
			t.Errorf("instance %+v of\n%s", in, text)
		}
		if rs := s.RealServers[0]; int(s.Port) != port || rs.Port != s.Port || rs.Weight != weight || rs.Name != name {
			t.Errorf("virtual server %+v of\n%s", s, text)
		}
	})
}
