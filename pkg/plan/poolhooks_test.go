package plan

import (
	"fmt"
	"slices"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/hook"
)

func hookOn(program string, on ...hook.Moment) config.Hook {
	return config.Hook{On: hook.Of(on...), Argv: config.ArgvOf(program)}
}

// TestPoolSubjects: a subject has its own hooks, then those of its virtual server, then those of the file, and only those
// that may run for it.
func TestPoolSubjects(t *testing.T) {
	cfg := vipFile()
	cfg.Hooks = []config.Hook{hookOn("/all", hook.Any, hook.ServerDown), hookOn("/master", hook.Master)}
	v := cfg.VirtualServers[0]
	v.RealServers = []config.RealServer{{Name: "a", Port: 1}, {Name: "b", Port: 2}}
	v.Hooks = []config.Hook{hookOn("/quorum", hook.QuorumUp), hookOn("/servers", hook.ServerUp)}
	v.ServerHooks = map[string][]config.Hook{"b": {hookOn("/own", hook.ServerUp)}}
	plain := cfg.VirtualServers[0]
	plain.Name, plain.Port, plain.RealServers = "plain", 1, []config.RealServer{{Name: "c"}}
	cfg.VirtualServers = []config.VirtualServer{v, plain}
	table := TableOf(cfg, node, Verdicts{})
	var got []string
	for _, s := range table.PoolSubjects() {
		line := s.Name()
		for _, h := range s.Hooks {
			line += " " + h.Label()
		}
		got = append(got, line)
	}
	if want := []string{"mysql /quorum", "mysql/a /servers /all", "mysql/b /own /servers /all", "plain/c /all"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if again := table.Judged(VerdictsOf(nil)).PoolSubjects(); &again[0] != &table.PoolSubjects()[0] {
		t.Error("they were made again for another verdict")
	}
	p := Of(inputs(cfg))
	if other := Of(inputs(cfg)).Sharing(p); &other.Table.PoolSubjects()[0] != &p.Table.PoolSubjects()[0] {
		t.Error("they were made again for the same file")
	}
}

// TestMemoryOfHooks: that the quorum has hooks changes nothing about the entries, so that nothing is computed for them.
func TestMemoryOfHooks(t *testing.T) {
	in := thousand()
	for n := range in.Config.VirtualServers {
		in.Config.VirtualServers[n].TellsQuorum = true
	}
	p := Of(in)
	if len(p.Table.Memories) != 1000 {
		t.Fatalf("%d memories", len(p.Table.Memories))
	}
	if allocated := testing.AllocsPerRun(1, func() { p.Table.reserved() }); allocated > 10 {
		t.Errorf("%.0f allocations", allocated)
	}
}

// BenchmarkPoolStates is what the hooks of 1 000 virtual servers and 4 000 real servers cost in each turn.
func BenchmarkPoolStates(b *testing.B) {
	for _, on := range []hook.Moment{hook.Any, hook.ServerDown} {
		b.Run(fmt.Sprint(on), func(b *testing.B) {
			in := thousand()
			in.Config.Hooks = []config.Hook{hookOn("/x", on)}
			table := Of(in).Table
			b.ReportAllocs()
			for b.Loop() {
				subjects := table.PoolSubjects()
				for n := range subjects {
					table.PoolState(&subjects[n])
				}
			}
		})
	}
}
