package plan

import (
	"net/netip"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// TestSlowStarts: a plan that is judged anew, and that of a reload, go on with slow starts; the time alone changes the table, at the time
// that the plan before has announced; and a reload is foreseen with them.
func TestSlowStarts(t *testing.T) {
	cfg := vipFile()
	server := func(name string, last byte) config.RealServer {
		return config.RealServer{Name: name, Address: netip.AddrFrom4([4]byte{10, 77, 0, last}), Port: 3306, Weight: 100, Checks: []config.Check{{Kind: config.TCPCheck{}}}}
	}
	cfg.VirtualServers = []config.VirtualServer{{
		Name: "db", Protocol: "tcp", Address: netip.MustParseAddr("10.77.0.100"), Port: 3306, Scheduler: "wrr", Forward: config.DR, SlowStart: 10 * time.Second,
		RealServers: []config.RealServer{server("mysql1", 11), server("mysql2", 12)},
	}}
	verdicts := func(up ...string) Verdicts {
		all := map[config.Subject]health.Verdict{}
		for _, name := range []string{"mysql1", "mysql2", "mysql3"} {
			all[config.Subject{Server: config.ServerID{Service: "db", Server: name}}] = health.Verdict{Known: true}
		}
		for _, name := range up {
			all[config.Subject{Server: config.ServerID{Service: "db", Server: name}}] = health.Verdict{Known: true, Up: true}
		}
		return VerdictsOf(all)
	}
	begun := time.Unix(1000, 0)
	in := inputs(cfg)
	in.Now = begun
	rules := func(when string, p Plan, want string) {
		t.Helper()
		if got := lvs.Rules(p.Table.Desired(nil)); got != "-A -t 10.77.0.100:3306 -s wrr\n"+want {
			t.Errorf("%s:\n%s", when, got)
		}
	}
	const one, two = "-a -t 10.77.0.100:3306 -r 10.77.0.11:3306 -g -w 100\n", "-a -t 10.77.0.100:3306 -r 10.77.0.12:3306 -g -w "
	in.Verdicts = verdicts("mysql1")
	down := Of(in)
	rules("one is down", down, one)
	in.Verdicts = verdicts("mysql1", "mysql2")
	up := down.Judged(in)
	rules("it returns", up, one+two+"1\n")
	if want := begun.Add(time.Second); !up.Table.Starts.Due.Equal(want) {
		t.Errorf("the next step at %s, want %s", up.Table.Starts.Due, want)
	}
	if status := up.Table.Judged(in.Verdicts); !status.equal(up.Table) {
		t.Error("a status has other slow starts")
	}
	in.Now = begun.Add(4 * time.Second)
	later := up.Judged(in)
	rules("4 s later", later, one+two+"40\n")
	if steps := Transition(up, later); len(steps) != 1 || steps[0].Do != SetTable {
		t.Errorf("4 s later: %v", steps)
	}

	next := *cfg
	next.VirtualServers = []config.VirtualServer{cfg.VirtualServers[0]}
	v := &next.VirtualServers[0]
	v.Name = "renamed"
	v.RealServers = append(v.RealServers[:2:2], server("mysql3", 13))
	f := later.Table.Foresee(&next, later.Table.Desired(nil), nil, nil)
	if len(f.Ops) > 0 || len(f.Later) != 1 || f.Later[0].Server.Weight != 1 {
		t.Errorf("a reload that adds a server: %v, later %v", f.Ops, f.Later)
	}
	v.Name = "db"
	in.Config, in.Starts, in.Verdicts = &next, later.Table.Starts, verdicts("mysql1", "mysql2", "mysql3")
	reloaded := Of(in)
	rules("a reload adds a server", reloaded, one+two+"40\n-a -t 10.77.0.100:3306 -r 10.77.0.13:3306 -g -w 1\n")
	in.Now = begun.Add(time.Minute)
	end := reloaded.Judged(in)
	rules("at the end", end, one+two+"100\n-a -t 10.77.0.100:3306 -r 10.77.0.13:3306 -g -w 100\n")
	if !end.Table.Starts.Due.IsZero() {
		t.Errorf("it does not end: %s", end.Table.Starts.Due)
	}
}
