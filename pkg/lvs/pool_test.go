package lvs

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// TestPool: a real server counts in its pool if its entry takes new connections and its checks pass, and not because it
// is up or in the table.
func TestPool(t *testing.T) {
	type member struct {
		weight    int // configured
		condition Condition
		entry     int // weight in the kernel, absent without one
	}
	const absent = -1
	unknown := Condition{}
	for _, tt := range []struct {
		name            string
		pool            []member
		differs, unread bool
		want            []Standing
		health          Health
		reason          string
	}{
		{name: "all up", pool: []member{{3, up, 3}, {1, up, 1}}, want: []Standing{Serving, Serving}, health: PoolUp, reason: "all 2 real servers are up"},
		{name: "one down", pool: []member{{3, up, 3}, {1, down, absent}}, want: []Standing{Serving, Down}, health: PoolDegraded, reason: "1 of 2 real servers are up"},
		{name: "all down", pool: []member{{3, down, absent}, {1, down, absent}}, want: []Standing{Down, Down}, reason: "no real server is up"},
		{name: "all weights 0", pool: []member{{0, up, 0}, {0, up, 0}}, want: []Standing{Draining, Draining}, reason: "takes no connections: all weights are 0"},
		{name: "one drained", pool: []member{{0, up, 0}, {1, up, 1}}, want: []Standing{Draining, Serving}, health: PoolUp, reason: "1 of 2 real servers are up; 1 is draining (weight 0)"},
		{
			name: "one drained, the other dead", pool: []member{{0, up, 0}, {1, down, absent}}, want: []Standing{Draining, Down},
			reason: "takes no connections: of 2 real servers 1 is down, 1 is draining (weight 0)",
		},
		{name: "one drained, one of the others dead", pool: []member{{0, up, 0}, {1, down, absent}, {1, up, 1}}, want: []Standing{Draining, Down, Serving}, health: PoolDegraded, reason: "1 of 3 real servers are up; 1 is draining (weight 0)"},
		{name: "one full", pool: []member{{3, full, 0}, {1, up, 1}}, want: []Standing{Full, Serving}, health: PoolDegraded, reason: "1 of 2 real servers are up; 1 is full"},
		{name: "all full: they keep their weights", pool: []member{{3, full, 3}, {1, full, 1}}, want: []Standing{Full, Full}, reason: "takes no connections: all 2 real servers are full"},
		{name: "full and drained", pool: []member{{3, full, 3}, {0, full, 0}}, want: []Standing{Full, Draining}, reason: "takes no connections: of 2 real servers 1 is full, 1 is draining (weight 0)"},
		{name: "full and unknown", pool: []member{{3, full, 3}, {1, unknown, absent}}, want: []Standing{Full, Absent}, reason: "takes no connections: of 2 real servers 1 is full, 1 is unknown"},
		{name: "all unknown", pool: []member{{3, unknown, absent}, {1, unknown, absent}}, want: []Standing{Absent, Absent}, reason: "takes no connections: all 2 real servers are unknown"},
		{
			name: "unknown is not down", pool: []member{{1, unknown, 1}, {1, down, absent}}, want: []Standing{Kept, Down}, health: PoolDegraded,
			reason: "0 of 2 real servers are up; 1 more serve and cannot be checked",
		},
		{name: "unknown and found drained", pool: []member{{0, unknown, 0}}, want: []Standing{Absent}, reason: "takes no connections: all 1 real servers are unknown"},
		{name: "unknown, and the table cannot be read", pool: []member{{1, unknown, absent}, {1, up, absent}}, unread: true, want: []Standing{Kept, Serving}, health: PoolDegraded, reason: "1 of 2 real servers are up; 1 more serve and cannot be checked"},
		{name: "up a moment ago: the change of the table is under way", pool: []member{{3, up, absent}}, want: []Standing{Serving}, health: PoolUp, reason: "all 1 real servers are up"},
		{name: "up, and the kernel refuses the entry", pool: []member{{3, up, absent}, {1, up, 1}}, differs: true, want: []Standing{Pending, Serving}, health: PoolDegraded, reason: "1 of 2 real servers are up; 1 is up but not in the kernel's table"},
		{name: "drained by an operator", pool: []member{{1, closing(up), 0}, {1, up, 1}}, want: []Standing{Draining, Serving}, health: PoolUp, reason: "1 of 2 real servers are up; 1 is draining (weight 0)"},
		{name: "down while it drains", pool: []member{{1, closing(down), absent}, {1, up, 1}}, want: []Standing{Draining, Serving}, health: PoolUp, reason: "1 of 2 real servers are up; 1 is draining (weight 0)"},
		{name: "disabled and down", pool: []member{{1, removed(down), absent}, {1, up, 1}}, want: []Standing{Disabled, Serving}, health: PoolUp, reason: "1 of 2 real servers are up; 1 is disabled"},
		{name: "all disabled", pool: []member{{1, removed(up), absent}}, want: []Standing{Disabled}, reason: "takes no connections: all 1 real servers are disabled"},
		{name: "disabled, the other down", pool: []member{{1, removed(up), absent}, {1, down, absent}}, want: []Standing{Disabled, Down}, reason: "takes no connections: of 2 real servers 1 is down, 1 is disabled"},
		{name: "disabled, and the kernel keeps the entry", pool: []member{{1, removed(up), 1}, {1, up, 1}}, differs: true, want: []Standing{Serving, Serving}, health: PoolUp, reason: "all 2 real servers are up"},
		{name: "up, and the kernel refuses the weight", pool: []member{{3, up, 0}}, differs: true, want: []Standing{Pending}, reason: "takes no connections: all 1 real servers are up but not in the kernel's table"},
	} {
		v := config.VirtualServer{Name: "db"}
		conditions := map[config.ServerID]Condition{}
		var have Service
		for i, m := range tt.pool {
			r := config.RealServer{Name: fmt.Sprint("mysql", i), Address: netip.AddrFrom4([4]byte{10, 77, 0, byte(11 + i)}), Port: 3306, Weight: m.weight}
			v.RealServers = append(v.RealServers, r)
			conditions[config.ServerID{Service: "db", Server: r.Name}] = m.condition
			if m.entry != absent {
				have.Servers = append(have.Servers, Server{Address: r.Address, Port: r.Port, Weight: m.entry})
			}
		}
		condition := func(id config.ServerID) Condition { return conditions[id] }
		got := Standings(v, condition, Table{Have: have, Known: !tt.unread, Differs: tt.differs})
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
		if health, reason := PoolHealth(v, got, Memory{}); health != tt.health || reason != tt.reason {
			t.Errorf("%s: %d, %q; want %d, %q", tt.name, health, reason, tt.health, tt.reason)
		}
	}
}

// A pool that is not down has an entry that takes connections, and one that is down has none with a passing check,
// whatever the checks said.
func TestPoolAgreesWithTheTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := config.VirtualServer{Name: "db"}
		conditions := map[config.ServerID]Condition{}
		for i := range rapid.IntRange(1, 4).Draw(t, "size") {
			r := config.RealServer{Name: fmt.Sprint(i), Address: netip.AddrFrom4([4]byte{10, 77, 0, byte(i)}), Port: 1, Weight: rapid.IntRange(0, 1).Draw(t, "weight")}
			v.RealServers = append(v.RealServers, r)
			c := rapid.SampledFrom([]Condition{{}, up, down, full}).Draw(t, "condition")
			c.Decision.Admission = rapid.SampledFrom([]Admission{Admitted, Admitted, Closing, TakenOut, CutOff}).Draw(t, "admission")
			conditions[config.ServerID{Service: "db", Server: r.Name}] = c
		}
		condition := func(id config.ServerID) Condition { return conditions[id] }
		have := Desired([]config.VirtualServer{v}, condition, nil)[0]
		health, reason := PoolHealth(v, Standings(v, condition, Table{Have: have, Known: true}), Memory{})
		answers := false
		for _, s := range have.Servers {
			c := conditions[config.ServerID{Service: "db", Server: fmt.Sprint(s.Address.As4()[3])}]
			answers = answers || s.TakesConnections() && !c.Full
		}
		if answers == (health == PoolDown) {
			t.Fatalf("%s: the table has a server that accepts connections: %v", reason, answers)
		}
	})
}
