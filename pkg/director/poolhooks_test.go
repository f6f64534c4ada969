package director

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/hook"
	"github.com/lvs-director/lvs-director/pkg/notify"
	"github.com/lvs-director/lvs-director/pkg/override"
	"github.com/lvs-director/lvs-director/pkg/plan"
)

// poolHooked is a file with hooks of a virtual server, of its second real server, and of the top level.
func poolHooked(service, server, all string) string {
	text := strings.Replace(weighing(1, 1), "vrrp_instances:", "notify: ["+all+"]\nvrrp_instances:", 1)
	text = strings.Replace(text, "scheduler: rr,", "scheduler: wrr, notify: ["+service+"],", 1)
	return strings.Replace(text, "{weight: 1, name: mysql2,", "{weight: 1, name: mysql2, notify: ["+server+"],", 1)
}

const (
	quorumHook = "{on: [quorum_up, quorum_down], command: [/quorum]}"
	serverHook = "{on: [server_up, server_down], command: [/server]}"
	ownHook    = "{on: [server_up, server_down], command: [/own]}"
)

// TestPoolHooks: the hooks of real servers and of a quorum run for their changes, own ones first, and not for what an operator does with a
// server, nor for what was so before a reload.
func TestPoolHooks(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.begin(poolHooked(quorumHook, ownHook, serverHook))
		m.pass(9 * time.Second)
		m.expectOf("the start", "hook ", "hook /quorum in UP")
		m.refuses(two, true)
		m.pass(9 * time.Second)
		m.expectOf("one fails", "hook ", "hook /own in DOWN", "hook /server in DOWN")
		m.refuses(one, true)
		m.pass(9 * time.Second)
		m.expectAnyOrder("the last one fails", "hook /quorum in DOWN", "hook /server in DOWN")
		m.refuses(one, false)
		m.refuses(two, false)
		m.pass(9 * time.Second)
		m.expectAnyOrder("both return", "hook /own in UP", "hook /quorum in UP", "hook /server in UP", "hook /server in UP")

		drain := mysql1
		drain.Target = "mysql/mysql2"
		if err := m.override(drain); err != "" {
			t.Fatal(err)
		}
		m.pass(9 * time.Second)
		m.expectOf("a drain", "hook ")
		drain.Kind = override.Enable
		if err := m.override(drain); err != "" {
			t.Fatal(err)
		}
		m.reload(strings.ReplaceAll(m.file, "name: mysql2", "name: renamed"))
		m.pass(9 * time.Second)
		m.expectOf("another name", "hook ")
		m.refuses(two, true)
		m.pass(9 * time.Second)
		m.expectOf("it fails under that name", "hook ", "hook /own in DOWN", "hook /server in DOWN")
		_ = m.stop()
		m.expectOf("a stop", "hook ")
	})
}

// TestPoolHooksOfAReload: hooks that a reload adds run for what comes after it. At a start server_down runs for a real
// server that is down, and a kill does not let quorum_up be forgotten.
func TestPoolHooksOfAReload(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(weighing(1, 1))
		m.reload(poolHooked(quorumHook, "", serverHook))
		m.pass(9 * time.Second)
		m.expectOf("a reload adds hooks", "hook ")
		m.refuses(two, true)
		m.pass(9 * time.Second)
		m.expectOf("one fails", "hook ", "hook /server in DOWN")
		m.reload(weighing(1, 1))
		m.refuses(two, false)
		m.pass(9 * time.Second)
		m.expectOf("without hooks", "hook ")
		m.refuses(two, true)
		m.pass(9 * time.Second)
		m.reload(poolHooked(quorumHook, "", serverHook))
		m.pass(9 * time.Second)
		m.expectOf("it is down when they are added", "hook ")
		m.history()
		m.killed()
		m.history()
		m.begin(m.file)
		m.pass(9 * time.Second)
		m.expectAnyOrder("after a kill", "hook /quorum in UP", "hook /server in DOWN")
	})
}

// TestQuorumLostAtAStart: quorum_down runs when the first checks after a start say that the quorum is lost, since it may
// have been met before the last stop; not while a check that has not decided may still meet it.
func TestQuorumLostAtAStart(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.refuses(one, true)
		m.refuses(two, true)
		m.begin(poolHooked(quorumHook, "", ""))
		m.pass(9 * time.Second)
		m.expectOf("the start", "hook ", "hook /quorum in DOWN")
		m.refuses(one, false)
		m.pass(9 * time.Second)
		m.expectOf("one returns", "hook ", "hook /quorum in UP")
	})
}

// expectAnyOrder compares the hooks that have run: those of different subjects run at the same time.
func (m *machine) expectAnyOrder(when string, want ...string) {
	m.t.Helper()
	var got []string
	for _, line := range m.history() {
		if strings.HasPrefix(line, "hook ") {
			got = append(got, line)
		}
	}
	if sortedLines(got) != sortedLines(want) {
		m.t.Errorf("%s: %q, want %q", when, got, want)
	}
}

func sortedLines(lines []string) string {
	return strings.Join(slices.Sorted(slices.Values(lines)), "\n")
}

// poolTables returns tables of many real servers with a hook for all of them, all up and all down.
func poolTables(on hook.Moment) (up, down plan.Table) {
	cfg := sized(1000, 10, true).plan.Config
	cfg.Hooks = []config.Hook{{On: hook.Of(on), Argv: config.ArgvOf("/x")}}
	up = plan.TableOf(cfg, "lvs-master", sized(1000, 10, true).verdicts)
	return up, up.Judged(sized(1000, 10, false).verdicts)
}

// said records what a notifier is told.
type said struct{ lines []string }

func (s *said) Tell(id notify.ID, change func(notify.Subject) hook.Change) {
	c := change(notify.Subject{})
	s.lines = append(s.lines, fmt.Sprintf("%s %s->%s", string(id)[strings.LastIndex(string(id), " ")+1:], c.From, c.To))
}

func (s *said) Seed(id notify.ID, state string) {
	s.lines = append(s.lines, fmt.Sprintf("%s is %s", string(id)[strings.LastIndex(string(id), " ")+1:], state))
}

// TestToldOfPools: a real server whose first checks fail counts as one that was up, so that there is no server_up if it returns before
// server_down has begun. A quorum is lost as soon as the checks that have not decided cannot meet it any more, and not before.
func TestToldOfPools(t *testing.T) {
	s := sized(1, 2, true)
	cfg := s.plan.Config
	v := &cfg.VirtualServers[0]
	v.InitialUp, v.TellsQuorum = false, true
	v.Hooks = []config.Hook{{On: hook.Of(hook.QuorumUp, hook.QuorumDown), Argv: config.ArgvOf("/q")}}
	v.ServerHooks = map[string][]config.Hook{"r0": {{On: hook.Of(hook.ServerUp, hook.ServerDown), Argv: config.ArgvOf("/s")}}}
	verdicts := map[config.Subject]health.Verdict{}
	table := plan.TableOf(cfg, "lvs-master", plan.VerdictsOf(verdicts))
	table = table.Judged(table.Verdicts)
	var p poolStates
	before := plan.Table{}
	for _, step := range []struct {
		name string
		up   map[string]bool
		want []string
	}{
		{"nothing is known", nil, nil},
		{"one is down", map[string]bool{"r0": false}, []string{"10.2.0.0:80 is UP", "10.2.0.0:80 UNKNOWN->DOWN"}},
		{"both are", map[string]bool{"r0": false, "r1": false}, []string{"10.1.0.0:80 UNKNOWN->DOWN"}},
		{"one returns", map[string]bool{"r0": true, "r1": false}, []string{"10.1.0.0:80 DOWN->UP", "10.2.0.0:80 DOWN->UP"}},
	} {
		verdicts := map[config.Subject]health.Verdict{}
		for name, up := range step.up {
			verdicts[config.Subject{Server: config.ServerID{Service: v.Name, Server: name}}] = health.Verdict{Known: true, Up: up}
		}
		table = table.Judged(plan.VerdictsOf(verdicts))
		told := new(said)
		p.tell(before, table, told)
		if before = table; !slices.Equal(told.lines, step.want) {
			t.Errorf("%s: %q, want %q", step.name, told.lines, step.want)
		}
	}
}

// tally counts what a notifier would be told.
type tally struct{ told, seeded int }

func (c *tally) Tell(notify.ID, func(notify.Subject) hook.Change) { c.told++ }
func (c *tally) Seed(notify.ID, string)                           { c.seeded++ }

// TestTellingManyPools: a turn in which nothing changes costs no memory, and each real server that fails is told once.
func TestTellingManyPools(t *testing.T) {
	up, down := poolTables(hook.ServerDown)
	var p poolStates
	tell := new(tally)
	p.tell(plan.Table{}, up, tell)
	p.tell(up, down, tell)
	if tell.told != 10_000 || tell.seeded != 10_000 {
		t.Errorf("%d told and %d seeded, want 10000 of each", tell.told, tell.seeded)
	}
	for _, on := range []hook.Moment{hook.Any, hook.ServerDown} {
		up, _ := poolTables(on)
		var p poolStates
		p.tell(plan.Table{}, up, tell)
		if allocated := testing.AllocsPerRun(3, func() { p.tell(up, up, tell) }); allocated > 0 {
			t.Errorf("%s: %.0f allocations in a turn without a change", on, allocated)
		}
	}
}

// TestMemoryOfManyPools: what the notifier keeps of real servers, all of whose hooks wait, is less than half of what the
// memory limit has for them.
func TestMemoryOfManyPools(t *testing.T) {
	up, down := poolTables(hook.ServerDown)
	cfg := sized(1000, 10, true).plan.Config
	without := memoryLimit(cfg)
	cfg.Hooks = []config.Hook{{On: hook.Of(hook.ServerDown), Argv: config.ArgvOf("/x")}}
	limit := memoryLimit(cfg) - without
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	n := notify.New(notify.Options{})
	var p poolStates
	before := heap()
	subjects := map[notify.ID]notify.Subject{}
	for _, s := range up.PoolSubjects() {
		subjects[notify.ID(s.ID)] = poolSubject(s)
	}
	n.Set(subjects)
	subjects = nil
	p.tell(plan.Table{}, up, n)
	p.tell(up, down, n)
	if used := heap() - before; used > limit/2 {
		t.Errorf("%d kB, want at most %d kB", used>>10, limit>>11)
	} else {
		t.Logf("%d kB for 10 000 real servers", used>>10)
	}
	runtime.KeepAlive(n)
	runtime.KeepAlive(p)
	runtime.KeepAlive(cfg)
}

// BenchmarkTellPools is what hooks of 1 000 virtual servers with 10 real servers each cost in a turn without a change
// ("none": a file without such hooks), and in one that follows another file.
func BenchmarkTellPools(b *testing.B) {
	tell := new(tally)
	for name, on := range map[string]hook.Moment{"none": hook.Any, "turn": hook.ServerDown, "reload": hook.ServerDown} {
		b.Run(name, func(b *testing.B) {
			from, _ := poolTables(on)
			to, _ := poolTables(on)
			var p poolStates
			p.tell(plan.Table{}, to, tell)
			b.ReportAllocs()
			for b.Loop() {
				if name == "reload" {
					p = poolStates{}
				}
				p.tell(from, to, tell)
			}
		})
	}
}
