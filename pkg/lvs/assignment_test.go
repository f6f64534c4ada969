package lvs

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// TestAssignment: the digest depends on addresses, ports, weights and the order, on nothing else.
func TestAssignment(t *testing.T) {
	base := AssignmentOf([]Server{dr(11, 1), dr(12, 3)})
	busy := dr(12, 3)
	busy.ActiveConnections, busy.Forward, busy.Slots = 7, config.TUN, 3
	for _, same := range [][]Server{{dr(11, 1), dr(12, 3)}, {dr(11, 1), busy}} {
		if got := AssignmentOf(same); got != base {
			t.Errorf("%v: %s, want %s", same, got, base)
		}
	}
	other := dr(12, 3)
	other.Port = 3307
	for _, different := range [][]Server{nil, {dr(11, 1)}, {dr(12, 3), dr(11, 1)}, {dr(11, 1), dr(12, 0)}, {dr(11, 1), other}} {
		if AssignmentOf(different) == base {
			t.Errorf("%v has the digest of another list", different)
		}
	}
}

// TestSlots: with mh a real server that is down, or of which nothing is known yet, has slots by the weight of the file, which the
// first operation gives it; with other schedulers and with persistence it has none.
func TestSlots(t *testing.T) {
	v := config.VirtualServer{
		Name: "v", Address: netip.MustParseAddr("10.77.0.100"), Port: 3306, Protocol: "tcp", Scheduler: "mh", Forward: config.DR,
		RealServers: []config.RealServer{{Name: "a", Address: netip.MustParseAddr("10.77.0.11"), Port: 3306, Weight: 3}, {Name: "b", Address: netip.MustParseAddr("10.77.0.12"), Port: 3306, Weight: 0}},
	}
	sticky := v
	sticky.Persistence = &config.Persistence{Timeout: 50, Netmask: 32}
	other := v
	other.Scheduler = "wrr"
	for _, tt := range []struct {
		name  string
		of    config.VirtualServer
		known Condition
		want  string
	}{
		{"down", v, Condition{Known: true}, "-a -t 10.77.0.100:3306 -r 10.77.0.11:3306 -g -w 3; -e -t 10.77.0.100:3306 -r 10.77.0.11:3306 -g -w 0; -a -t 10.77.0.100:3306 -r 10.77.0.12:3306 -g -w 0"},
		{"nothing known", v, Condition{}, "-a -t 10.77.0.100:3306 -r 10.77.0.11:3306 -g -w 3; -e -t 10.77.0.100:3306 -r 10.77.0.11:3306 -g -w 0; -a -t 10.77.0.100:3306 -r 10.77.0.12:3306 -g -w 0"},
		{"up", v, Condition{Known: true, Up: true}, "-a -t 10.77.0.100:3306 -r 10.77.0.11:3306 -g -w 3; -a -t 10.77.0.100:3306 -r 10.77.0.12:3306 -g -w 0"},
		{"with persistence", sticky, Condition{Known: true}, ""},
		{"wrr", other, Condition{Known: true}, ""},
	} {
		want := Desired([]config.VirtualServer{tt.of}, func(config.ServerID) Condition { return tt.known }, nil)
		var got []string
		for _, op := range Diff(want, nil, nil)[1:] {
			got = append(got, strings.TrimPrefix(op.String(), "ipvsadm "))
		}
		if all := strings.Join(got, "; "); all != tt.want {
			t.Errorf("%s: %s\nwant %s", tt.name, all, tt.want)
		}
		// One that has an entry keeps its slots.
		have := Desired([]config.VirtualServer{tt.of}, func(config.ServerID) Condition { return Condition{Known: true, Up: true} }, nil)
		for _, op := range Diff(want, have, nil) {
			if op.Kind == AddServer {
				t.Errorf("%s: from a full table: %s", tt.name, op)
			}
		}
	}
}
