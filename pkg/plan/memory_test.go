package plan

import (
	"net/netip"
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
