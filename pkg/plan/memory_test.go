package plan

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// TestSorryServersDoNotServe: a virtual server whose clients are at a sorry server does not make a director ready, keeps its memory over a
// reload that gives it another name, and is foreseen by a reload.
func TestSorryServersDoNotServe(t *testing.T) {
	cfg := vipFile()
	cfg.VirtualServers = []config.VirtualServer{{
		Name: "db", Protocol: "tcp", Address: netip.MustParseAddr("10.77.0.100"), Port: 3306, Scheduler: "wrr", Forward: config.DR,
		RealServers: []config.RealServer{
			{Name: "mysql1", Address: netip.MustParseAddr("10.77.0.11"), Port: 3306, Weight: 1, Checks: []config.Check{{Kind: config.TCPCheck{}}}},
			{Name: "sorry", Address: netip.MustParseAddr("10.77.0.20"), Port: 3306, Weight: 1, Role: config.Sorry, Checks: []config.Check{{Kind: config.TCPCheck{}}}},
		},
	}}
	verdicts := func(up bool) Verdicts {
		return VerdictsOf(map[config.Subject]health.Verdict{
			{Server: config.ServerID{Service: "db", Server: "mysql1"}}: {Known: true, Up: up},
			{Server: config.ServerID{Service: "db", Server: "sorry"}}:  {Known: true, Up: true},
		})
	}
	key := lvs.KeyOf(cfg.VirtualServers[0])
	serving := map[lvs.Key]bool{key: true}
	in := inputs(cfg)
	in.Verdicts = verdicts(true)
	p := Of(in)
	if !p.Table.Serves(serving) || p.Table.Memories[key] != (lvs.Memory{}) {
		t.Errorf("up: serves %v, %+v", p.Table.Serves(serving), p.Table.Memories)
	}
	in.Verdicts = verdicts(false)
	down := p.Judged(in)
	if want := (lvs.Memory{Lost: true, Sorry: true}); down.Table.Serves(serving) || down.Table.Memories[key] != want {
		t.Errorf("down: serves %v, %+v", down.Table.Serves(serving), down.Table.Memories)
	}
	if down.Table.equal(p.Table) {
		t.Error("the tables are equal")
	}
	if got := lvs.Rules(down.Table.Desired(nil)); got != "-A -t 10.77.0.100:3306 -s wrr\n-a -t 10.77.0.100:3306 -r 10.77.0.20:3306 -g -w 1\n" {
		t.Errorf("down:\n%s", got)
	}
	have := down.Table.Desired(nil)
	if f := down.Table.Foresee(cfg, have, nil, nil); len(f.Ops)+len(f.Later) > 0 {
		t.Errorf("a reload of the same file changes %v, later %v", f.Ops, f.Later)
	}
	in.Memories = down.Table.Memories
	if again := Of(in); again.Table.Memories[key] != down.Table.Memories[key] {
		t.Errorf("after a reload: %+v", again.Table.Memories)
	}
	if emptied := p.Table.Emptied(Decisions{{Service: "db", Server: "mysql1"}: {Admission: lvs.Closing}}, have); len(emptied) != 1 {
		t.Errorf("a drain of the last real server empties %v", emptied)
	}
}

// TestPoolsBegin: a pool of which nothing is remembered begins as it is in the table: that of the kernel at the start, in any of its
// services, and after a reload that of the file before.
func TestPoolsBegin(t *testing.T) {
	checks := []config.Check{{Kind: config.TCPCheck{}}}
	server := func(name string, last byte, weight int, port uint16, role config.Role) config.RealServer {
		return config.RealServer{Name: name, Address: netip.AddrFrom4([4]byte{10, 77, 0, last}), Port: port, Weight: weight, Role: role, Checks: checks}
	}
	pool := func(port uint16, ports ...uint16) *config.Config {
		cfg := vipFile()
		cfg.VirtualServers = []config.VirtualServer{{
			Name: "db", Protocol: "tcp", Address: netip.MustParseAddr("10.77.0.100"), Port: port, Ports: ports, Scheduler: "wrr", Forward: config.DR,
			RealServers: []config.RealServer{server("mysql1", 11, 2, port, config.Regular), server("mysql2", 12, 1, port, config.Regular)},
		}}
		return cfg
	}
	withSorry := func(cfg *config.Config, port uint16) *config.Config {
		v := &cfg.VirtualServers[0]
		v.RealServers = append(v.RealServers, server("sorry", 20, 1, port, config.Sorry))
		return cfg
	}
	known := func(up, down string) Verdicts {
		all := map[config.Subject]health.Verdict{{Server: config.ServerID{Service: "db", Server: "sorry"}}: {Known: true, Up: true}}
		if up != "" {
			all[config.Subject{Server: config.ServerID{Service: "db", Server: up}}] = health.Verdict{Known: true, Up: true}
		}
		all[config.Subject{Server: config.ServerID{Service: "db", Server: down}}] = health.Verdict{Known: true}
		return VerdictsOf(all)
	}
	found := func(ports ...uint16) []lvs.Service {
		var all []lvs.Service
		for _, port := range ports {
			one := pool(port).VirtualServers[0]
			all = append(all, lvs.Service{Key: lvs.KeyOf(one), Scheduler: "wrr", Servers: []lvs.Server{{Address: one.RealServers[0].Address, Port: port, Forward: config.DR, Weight: 2}}})
		}
		return all
	}
	taking := func(p Plan, have []lvs.Service) (servers []string) {
		for _, s := range p.Table.Desired(have) {
			for _, r := range s.Servers {
				servers = append(servers, r.AddrPort().String())
			}
		}
		return servers
	}
	quorum := withSorry(pool(3306), 3306)
	quorum.VirtualServers[0].Quorum, quorum.VirtualServers[0].Hysteresis = 2, 1
	for _, tt := range []struct {
		name          string
		before, after *config.Config
		verdicts      Verdicts
		found         []lvs.Service
		want          []string
	}{
		{"a start with several ports", nil, withSorry(pool(0, 3306, 3307), 0), known("", "mysql2"), found(3306, 3307), []string{"10.77.0.11:3306", "10.77.0.11:3307"}},
		{"a start with a port that was not there", nil, withSorry(pool(0, 3305, 3307), 0), known("", "mysql2"), found(3307), []string{"10.77.0.11:3305", "10.77.0.11:3307"}},
		{"a reload adds a quorum with hysteresis", pool(3306), quorum, known("mysql1", "mysql2"), found(3306), []string{"10.77.0.11:3306"}},
		{"a reload adds a sorry server, and nothing is known about a server that serves", pool(3306), withSorry(pool(3306), 3306), known("", "mysql2"), found(3306), []string{"10.77.0.11:3306"}},
		{"a reload changes the first port", withSorry(pool(0, 3306, 3307), 0), withSorry(pool(0, 3305, 3307), 0), known("", "mysql2"), found(3306, 3307), []string{"10.77.0.11:3305", "10.77.0.11:3307"}},
	} {
		in := inputs(tt.after)
		in.Verdicts, in.Adopted = tt.verdicts, tt.found
		if tt.before != nil {
			first := in
			first.Config = tt.before
			p := Of(first)
			if f := p.Table.Foresee(tt.after, tt.found, nil, nil); tt.before.VirtualServers[0].Port != 0 && len(f.Ops) > 0 {
				t.Errorf("%s: foreseen %v", tt.name, f.Ops)
			}
			in.Adopted, in.Memories = nil, p.Table.Memories
			in.Previous = func() []lvs.Service { return p.Table.Desired(tt.found) }
		}
		p := Of(in)
		if got := taking(p, tt.found); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v: %+v", tt.name, got, tt.want, p.Table.Memories)
		}
	}
}
