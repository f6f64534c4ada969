package lvs

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/pkg/config"
)

func pair(initialUp bool) []config.VirtualServer {
	real := func(name, address string, weight int) config.RealServer {
		return config.RealServer{Name: name, Address: netip.MustParseAddr(address), Port: 3306, Weight: weight}
	}
	return []config.VirtualServer{
		{
			Name: "db", Address: netip.MustParseAddr("10.77.0.100"), Port: 3306, Protocol: "tcp",
			Scheduler: "wrr", Forward: config.DR, InitialUp: initialUp,
			Persistence: &config.Persistence{Timeout: 50 * time.Second, Netmask: 24},
			RealServers: []config.RealServer{real("mysql1", "10.77.0.11", 3), real("mysql2", "10.77.0.12", 1)},
		},
		{
			Name: "read", Address: netip.MustParseAddr("10.77.0.100"), Port: 3307, Protocol: "tcp",
			Scheduler: "lc", Forward: config.NAT, InitialUp: initialUp,
			RealServers: []config.RealServer{real("mysql2", "10.77.0.12", 1)},
		},
	}
}

func TestDesired(t *testing.T) {
	const db, read = "-A -t 10.77.0.100:3306 -s wrr -p 50 -M 255.255.255.0\n", "-A -t 10.77.0.100:3307 -s lc\n"
	const mysql1, mysql2 = "-a -t 10.77.0.100:3306 -r 10.77.0.11:3306 -g -w 3\n", "-a -t 10.77.0.100:3306 -r 10.77.0.12:3306 -g -w 1\n"
	const readMysql2 = "-a -t 10.77.0.100:3307 -r 10.77.0.12:3306 -m -w 1\n"
	server := func(address string, weight int) Server {
		return Server{Address: netip.MustParseAddr(address), Port: 3306, Weight: weight}
	}
	found := []Service{{Key: KeyOf(pair(false)[0]), Servers: []Server{server("10.77.0.12", 9), server("10.77.0.99", 1)}}}

	for _, tt := range []struct {
		name      string
		initialUp bool
		condition map[string]Condition
		found     []Service
		want      string
	}{
		{"nothing known: services have empty pools", false, nil, nil, db + read},
		{"initial_state up", true, nil, nil, db + mysql1 + mysql2 + read + readMysql2},
		{"adopted; a server that the file does not name is not", false, nil, found, db + mysql2 + read},
		{"conditions go by both names", false, map[string]Condition{"db/mysql1": up, "read/mysql2": up}, nil, db + mysql1 + read + readMysql2},
		{"a verdict beats what was found", false, map[string]Condition{"db/mysql2": down}, found, db + read},
	} {
		t.Run(tt.name, func(t *testing.T) {
			condition := func(id config.ServerID) Condition { return tt.condition[id.String()] }
			if diff := cmp.Diff(tt.want, Rules(Desired(pair(tt.initialUp), condition, tt.found))); diff != "" {
				t.Error(diff)
			}
		})
	}

	if diff := cmp.Diff(db+read, Rules(Desired(pair(false), nil, nil))); diff != "" {
		t.Errorf("condition nil: %s", diff)
	}
}

// A group is a service for each address and port, with the same real servers; each of them was found in the table or not.
func TestDesiredGroup(t *testing.T) {
	v := pair(true)[0]
	v.Addresses = []netip.Addr{v.Address, netip.MustParseAddr("10.77.0.101")}
	v.Ports, v.Persistence = []uint16{3306, 3307}, nil
	v.RealServers[0].Port, v.RealServers[1].Port = 0, 0
	want := ""
	for _, at := range []string{"10.77.0.100:3306", "10.77.0.100:3307", "10.77.0.101:3306", "10.77.0.101:3307"} {
		port := at[len(at)-4:]
		want += "-A -t " + at + " -s wrr\n-a -t " + at + " -r 10.77.0.11:" + port + " -g -w 3\n-a -t " + at + " -r 10.77.0.12:" + port + " -g -w 1\n"
	}
	if diff := cmp.Diff(want, Rules(Desired([]config.VirtualServer{v}, nil, nil))); diff != "" {
		t.Error(diff)
	}
	v.InitialUp = false
	found := []Service{{Key: KeysOf(v)[2], Servers: []Server{{Address: v.RealServers[1].Address, Port: 3306, Weight: 1}}}}
	kept := 0
	for _, s := range Desired([]config.VirtualServer{v}, nil, found) {
		kept += len(s.Servers)
		if len(s.Servers) != 0 && s.Key != found[0].Key {
			t.Errorf("%s has a real server that was found elsewhere", s.Key)
		}
	}
	if kept != 1 {
		t.Errorf("%d entries kept, want the one that was found", kept)
	}
}

// A virtual server that becomes a group, or a group that loses a port, loses no real server.
func TestGroupRemovesNothing(t *testing.T) {
	single := pair(true)[:1]
	group := []config.VirtualServer{single[0]}
	group[0].Ports, group[0].RealServers = []uint16{3307, 3306}, []config.RealServer{single[0].RealServers[0], single[0].RealServers[1]}
	for i := range group[0].RealServers {
		group[0].RealServers[i].Port = 0
	}
	for _, files := range [][2][]config.VirtualServer{{single, group}, {group, single}} {
		if r := Removed(files[0], files[1]); len(r.Gone) > 0 || r.Of != 2 {
			t.Errorf("gone: %v", r)
		}
	}
}

// A firewall mark is one service, of the family of its real servers, which keep the port unless they have one.
func TestDesiredMark(t *testing.T) {
	v := pair(true)[0]
	v.Address, v.Port, v.Persistence, v.Mark = netip.Addr{}, 0, nil, 5
	v.RealServers[0].Port, v.RealServers[1].Port = 0, 8080
	const want = "-A -f 5 -s wrr\n-a -f 5 -r 10.77.0.11:0 -g -w 3\n-a -f 5 -r 10.77.0.12:8080 -g -w 1\n"
	if diff := cmp.Diff(want, Rules(Desired([]config.VirtualServer{v}, nil, nil))); diff != "" {
		t.Error(diff)
	}
	v.RealServers = []config.RealServer{{Name: "six", Address: netip.MustParseAddr("fd00::11"), Weight: 1}}
	if diff := cmp.Diff("-A -f 5 -6 -s wrr\n-a -f 5 -6 -r [fd00::11]:0 -g -w 1\n", Rules(Desired([]config.VirtualServer{v}, nil, nil))); diff != "" {
		t.Error(diff)
	}
	for one := range v.Endpoints() {
		t.Errorf("clients connect to %s", one.Address)
	}
}

// TestRefusesAt: a scheduler that hashes refuses the clients of a server with weight 0 unless it falls back.
func TestRefusesAt(t *testing.T) {
	for _, tt := range []struct {
		scheduler             string
		fallback, persistence bool
		drained, takenOut     bool
	}{
		{"rr", false, false, false, false},
		{"sh", false, false, true, false},
		{"sh", true, false, false, false},
		{"mh", false, false, true, true},
		{"mh", false, true, true, false},
		{"mh", true, false, false, false},
		{"dh", false, false, true, false},
		{"lblc", false, false, false, false},
	} {
		v := config.VirtualServer{Scheduler: tt.scheduler}
		v.SchedulerFlags.Fallback = tt.fallback
		if tt.persistence {
			v.Persistence = &config.Persistence{}
		}
		if RefusesAt(v, Closing) != tt.drained || RefusesAt(v, TakenOut) != tt.takenOut || RefusesAt(v, CutOff) || RefusesAt(v, Admitted) {
			t.Errorf("%+v: %t, %t", tt, RefusesAt(v, Closing), RefusesAt(v, TakenOut))
		}
	}
}
