package lvs

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// pool has two real servers with the weights 3 and 1, and a sorry server.
func pool(quorum, hysteresis int, initialUp bool) config.VirtualServer {
	v := config.VirtualServer{Name: "db", Quorum: quorum, Hysteresis: hysteresis, InitialUp: initialUp}
	for i, weight := range []int{3, 1, 2} {
		v.RealServers = append(v.RealServers, config.RealServer{
			Name: fmt.Sprint(i), Address: netip.AddrFrom4([4]byte{10, 77, 0, byte(11 + i)}), Port: 3306, Weight: weight,
		})
	}
	v.RealServers[2].Role = config.Sorry
	return v
}

func conditionsOf(all ...Condition) func(config.ServerID) Condition {
	return func(id config.ServerID) Condition { return all[id.Server[0]-'0'] }
}

// weighted is up with the weight of a check.
func weighted(weight uint16) Condition {
	return Condition{Known: true, Up: true, Weighted: true, Weight: weight}
}

func TestMemory(t *testing.T) {
	unknown := Condition{}
	met, lost, sorry := Memory{}, Memory{Lost: true}, Memory{Lost: true, Sorry: true}
	for _, tt := range []struct {
		name               string
		quorum, hysteresis int
		initialUp          bool
		before             Memory
		one, two, sorry    Condition
		want               Memory
	}{
		{"all up", 1, 0, false, met, up, up, up, met},
		{"the last one fails", 1, 0, false, met, down, down, up, sorry},
		{"the last one fails, and the sorry server is down", 1, 0, false, met, down, down, down, lost},
		{"the last one fails, and nothing is known about the sorry server", 1, 0, false, met, down, down, unknown, lost},
		{"nothing is known about a sorry server that was found with the clients", 1, 0, false, Memory{Lost: true, Sorry: true, Found: "2,"}, down, down, unknown, Memory{Lost: true, Sorry: true, Found: "2,"}},
		{"nothing is known about a sorry server that was found, and the real servers return", 1, 0, false, Memory{Lost: true, Sorry: true, Found: "2,"}, down, up, unknown, Memory{Found: "2,"}},
		{"nothing is known about a sorry server that was not found", 1, 0, false, Memory{Lost: true, Sorry: true}, unknown, down, unknown, lost},
		{"nothing is known any more about a sorry server that has the clients", 1, 0, false, sorry, down, down, unknown, lost},
		{"a sorry server that has the clients fails", 2, 0, false, sorry, down, up, down, lost},
		{"the sorry server returns", 2, 0, false, lost, down, up, up, sorry},
		{"the sorry server is drained", 2, 0, false, sorry, down, up, closing(up), lost},
		{"a real server returns", 1, 0, false, sorry, down, up, up, met},

		{"below the quorum", 3, 0, false, met, down, up, up, sorry},
		{"at the quorum", 3, 0, false, met, up, down, up, met},
		{"met again at the quorum", 3, 0, false, sorry, up, down, up, met},
		{"not below the quorum by more than the hysteresis", 4, 1, false, met, up, down, up, met},
		{"below the quorum by more than the hysteresis", 4, 1, false, met, down, up, up, sorry},
		{"not yet above the quorum by the hysteresis", 3, 1, false, sorry, up, down, up, sorry},
		{"above the quorum by the hysteresis", 3, 1, false, sorry, up, up, up, met},
		{"the weight of a check counts", 4, 0, false, met, weighted(9), down, up, met},
		{"the weight 0 of a check", 1, 0, false, met, weighted(0), down, up, sorry},
		{"a drained server does not count", 1, 0, false, met, closing(up), down, up, sorry},
		{"full servers are up", 4, 0, false, met, full, full, up, met},

		{"unknown is not down", 4, 0, false, met, unknown, up, up, met},
		{"unknown is not up", 4, 0, false, sorry, unknown, up, up, sorry},
		{"unknown, with initial_state: up", 4, 0, true, sorry, unknown, up, up, met},
		{"unknown, found in the table", 4, 0, false, Memory{Found: "0,1,"}, unknown, unknown, up, Memory{Found: "0,1,"}},
		{"unknown, one of two found", 1, 0, false, Memory{Found: "0,"}, unknown, unknown, up, Memory{Found: "0,"}},
		{"the one that was found fails, and nothing is known about the other one", 1, 0, false, Memory{Found: "0,"}, down, unknown, up, Memory{Sorry: true}},
		{"the one that was found is drained, and nothing is known about the other one", 1, 0, false, Memory{Found: "0,"}, closing(unknown), unknown, up, Memory{Sorry: true, Found: "0,"}},
		{"unknown, not in the table", 4, 0, false, met, unknown, unknown, up, Memory{Sorry: true}},
		{"everything is known about what was found", 4, 0, false, Memory{Found: "0,1,"}, up, up, up, met},
		{"unknown would not suffice", 4, 0, false, met, down, unknown, up, sorry},
	} {
		v := pool(tt.quorum, tt.hysteresis, tt.initialUp)
		if got := tt.before.Next(v, conditionsOf(tt.one, tt.two, tt.sorry)); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// TestQuorumDoesNotOscillate: in any history, the sums of the weights at which the quorum is lost and is met again are more than twice
// the hysteresis apart: no server that comes and goes with less weight than that changes it each time.
func TestQuorumDoesNotOscillate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		quorum := rapid.IntRange(1, 6).Draw(t, "quorum")
		v := pool(quorum, rapid.IntRange(0, quorum-1).Draw(t, "hysteresis"), false)
		all := []Condition{up, up, rapid.SampledFrom([]Condition{up, down}).Draw(t, "sorry")}
		var m Memory
		at := -1 // the sum at the last change
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			c := rapid.SampledFrom([]Condition{up, down, full, weighted(0), weighted(1), weighted(2), weighted(6)}).Draw(t, "condition")
			c.Decision.Admission = rapid.SampledFrom([]Admission{Admitted, Admitted, Admitted, Closing}).Draw(t, "admission")
			all[rapid.IntRange(0, 1).Draw(t, "server")] = c
			sum := 0
			for i, c := range all[:2] {
				if c.Up && c.Decision.Admission == Admitted {
					sum += c.Whole(v.RealServers[i].Weight)
				}
			}
			before := m.Lost
			m = m.Next(v, conditionsOf(all...))
			if m.Lost == before {
				continue
			}
			if at >= 0 && max(at, sum)-min(at, sum) <= 2*v.Hysteresis {
				t.Fatalf("the quorum %d ± %d changed at %d, and again at %d", v.Quorum, v.Hysteresis, at, sum)
			}
			at = sum
		}
	})
}

// TestTiersNeverEmptyAPool: after any history of a pool with any roles, if a server could take connections, one does; only servers
// of one tier do; and the memory does not change without a change of the conditions.
func TestTiersNeverEmptyAPool(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := config.VirtualServer{
			Name: "db", Quorum: rapid.IntRange(1, 3).Draw(t, "quorum"), StaysOnStandby: rapid.Bool().Draw(t, "stays"),
			PrimariesNeeded: config.Share{Number: rapid.IntRange(1, 2).Draw(t, "needed")}, InitialUp: rapid.Bool().Draw(t, "initial"),
		}
		all := make([]Condition, rapid.IntRange(1, 5).Draw(t, "servers"))
		for i := range all {
			r := config.RealServer{Name: fmt.Sprint(i), Address: netip.AddrFrom4([4]byte{10, 77, 0, byte(i)}), Weight: 1}
			if i > 0 {
				r.Role = rapid.SampledFrom([]config.Role{config.Regular, config.Standby, config.Sorry}).Draw(t, "role")
			}
			v.RealServers = append(v.RealServers, r)
		}
		if !v.Has(config.Standby) {
			v.PanicThreshold = rapid.IntRange(0, 100).Draw(t, "panic")
		}
		m := Begin(v, drawTable(t, v)).Resume(v, drawOnStandby(t, v))
		found := foundBy(m, v)
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			c := rapid.SampledFrom([]Condition{{}, up, down, full, weighted(0), weighted(5)}).Draw(t, "condition")
			c.Decision.Admission = rapid.SampledFrom([]Admission{Admitted, Admitted, Admitted, Closing, CutOff}).Draw(t, "admission")
			n := rapid.IntRange(0, len(all)-1).Draw(t, "server")
			c.Asked = c.Known || rapid.Bool().Draw(t, "asked")
			all[n], found[n] = c, found[n] && !c.Known
			m = m.Next(v, conditionsOf(all...))
			if again := m.Next(v, conditionsOf(all...)); again != m {
				t.Fatalf("%+v, and then %+v", m, again)
			}
			if m.Failed && m.Awaited != "" { // until the first results of those
				continue
			}
			taking, could, present := map[config.Role]bool{}, false, map[byte]bool{}
			for _, s := range Desired([]config.VirtualServer{v}, reserved(v, m, all), nil)[0].Servers {
				present[s.Address.As4()[3]] = true
				if s.TakesConnections() {
					taking[v.RealServers[s.Address.As4()[3]].Role] = true
				}
			}
			for i, r := range v.RealServers {
				found[i] = found[i] || m.found(r.Name)
				could = could || (all[i].Known || found[i]) && all[i].Admits(r.Weight)
				if all[i].Up && all[i].Decision.Admission == Closing && !present[byte(i)] {
					t.Fatalf("%+v: the connections of %d, which is drained, are cut: %+v", m, i, all)
				}
			}
			if could && len(taking) == 0 || len(taking) > 1 {
				t.Fatalf("%+v: the tiers %v take connections: %+v", m, taking, all)
			}
		}
	})
}

// TestStandby: primary and standby servers with the numbers 0 to 3, of which two are standby.
func TestStandby(t *testing.T) {
	unknown := Condition{}
	primary, failed, spare := Memory{}, Memory{Standby: true, Failed: true}, Memory{Standby: true}
	awaited := Memory{Standby: true, Failed: true, Awaited: "2,"}
	for _, tt := range []struct {
		name   string
		needed config.Share
		stays  bool
		before Memory
		all    [4]Condition
		want   Memory
	}{
		{"all are up", config.Share{}, false, primary, [4]Condition{up, up, up, up}, primary},
		{"one of two primaries is enough", config.Share{}, false, primary, [4]Condition{down, up, up, up}, primary},
		{"none is left", config.Share{}, false, primary, [4]Condition{down, down, up, down}, failed},
		{"none is left, and no standby server", config.Share{}, false, primary, [4]Condition{down, down, down, down}, primary},
		{"two are needed", config.Share{Number: 2}, false, primary, [4]Condition{down, up, up, up}, failed},
		{"two are needed, and there is no standby server", config.Share{Number: 2}, false, primary, [4]Condition{down, up, down, closing(up)}, primary},
		{"half of them", config.Share{Percent: 50}, false, primary, [4]Condition{down, up, up, up}, primary},
		{"more than half of them", config.Share{Percent: 51}, false, primary, [4]Condition{down, up, up, up}, failed},
		{"half of those that are not drained", config.Share{Percent: 51}, false, primary, [4]Condition{closing(up), up, up, up}, primary},
		{"all primaries are drained", config.Share{Percent: 51}, false, primary, [4]Condition{closing(up), closing(up), up, up}, failed},
		{"back", config.Share{}, false, failed, [4]Condition{up, down, up, up}, primary},
		{"not enough for going back", config.Share{Number: 2}, false, failed, [4]Condition{up, down, up, up}, failed},
		{"not back", config.Share{}, true, failed, [4]Condition{up, up, up, up}, failed},
		{"no standby server is left", config.Share{}, true, failed, [4]Condition{up, down, down, down}, primary},
		{"no standby server is left, and too few primaries", config.Share{Number: 2}, false, failed, [4]Condition{up, down, down, down}, primary},
		{"nothing is left", config.Share{}, true, failed, [4]Condition{down, down, down, down}, primary},
		{"unknown is not down", config.Share{Number: 2}, true, primary, [4]Condition{up, unknown, up, up}, primary},
		{"unknown is not up", config.Share{Number: 2}, false, failed, [4]Condition{up, unknown, up, up}, failed},
		{"nothing is known about the primaries yet, which does not make it stay", config.Share{}, true, primary, [4]Condition{unknown, unknown, up, up}, spare},
		{"until something is known", config.Share{}, true, spare, [4]Condition{up, unknown, up, up}, primary},
		{"found, and nothing known", config.Share{}, true, Memory{Found: "0,1,"}, [4]Condition{unknown, unknown, up, up}, Memory{Found: "0,1,"}},
		{"the one that was found fails, and nothing is known about the other one", config.Share{}, true, Memory{Found: "0,"}, [4]Condition{down, unknown, up, up}, spare},
		{"found on standby, and nothing known", config.Share{}, true, Memory{Found: "2,", Standby: true, Failed: true}, [4]Condition{up, up, unknown, unknown}, Memory{Found: "2,", Standby: true, Failed: true}},
		{"the standby server that was found fails, and nothing is known about the other one", config.Share{}, true, Memory{Found: "2,", Standby: true, Failed: true}, [4]Condition{up, up, down, unknown}, primary},
		{"awaited", config.Share{}, true, awaited, [4]Condition{up, up, unknown, unknown}, awaited},
		{"awaited, and up", config.Share{}, true, awaited, [4]Condition{up, up, up, unknown}, failed},
		{"awaited, and down", config.Share{}, true, awaited, [4]Condition{up, up, down, unknown}, primary},
		{"awaited, and its check cannot be made", config.Share{}, true, awaited, [4]Condition{up, up, {Asked: true}, unknown}, Memory{Found: "2,", Standby: true, Failed: true}},
		{"awaited, and drained", config.Share{}, true, awaited, [4]Condition{up, up, closing(unknown), unknown}, Memory{Awaited: "2,"}},
		{"awaited, and it goes back by itself now", config.Share{}, false, awaited, [4]Condition{up, unknown, unknown, unknown}, Memory{Awaited: "2,"}},
	} {
		v := config.VirtualServer{Name: "db", PrimariesNeeded: tt.needed, StaysOnStandby: tt.stays}
		for i := range 4 {
			v.RealServers = append(v.RealServers, config.RealServer{Name: fmt.Sprint(i), Weight: 1})
		}
		v.RealServers[2].Role, v.RealServers[3].Role = config.Standby, config.Standby
		got := tt.before.Next(v, conditionsOf(tt.all[:]...))
		got.Lost = false // as without a quorum
		if got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// TestPanicThreshold: when less than half of the servers are up, those that fail keep their entries, and no others get any.
func TestPanicThreshold(t *testing.T) {
	v := config.VirtualServer{Name: "db", PanicThreshold: 50}
	all := []Condition{up, up, up, up}
	for i := range all {
		v.RealServers = append(v.RealServers, config.RealServer{Name: fmt.Sprint(i), Address: netip.AddrFrom4([4]byte{10, 77, 0, byte(11 + i)}), Weight: i + 1})
	}
	var m Memory
	for _, step := range []struct {
		server int
		to     Condition
		want   string
		well   bool
	}{
		{0, up, "11=1 12=2 13=3 14=4", true},
		{0, down, "12=2 13=3 14=4", true},
		{1, down, "13=3 14=4", true},
		{2, down, "13=3 14=4", true},
		{3, down, "13=3 14=4", false},
		{3, full, "13=3 14=4", true}, // one that is full does not leave the clients to one that is down
		{1, up, "12=2 14=0", true},
		{2, up, "12=2 13=3 14=0", true},
		{3, down, "12=2 13=3", true},
		{1, closing(up), "12=0 13=3", true},
		{2, down, "12=0 13=3", false}, // of three that may have connections none is up
		{2, removed(down), "12=0", true},
	} {
		all[step.server] = step.to
		m = m.Next(v, conditionsOf(all...))
		var got []string
		for _, s := range Desired([]config.VirtualServer{v}, reserved(v, m, all), nil)[0].Servers {
			got = append(got, fmt.Sprintf("%d=%d", s.Address.As4()[3], s.Weight))
		}
		if strings.Join(got, " ") != step.want || m.Healthy() != step.well {
			t.Errorf("%d is %+v: %v, healthy %v, want %s, %v: %+v", step.server, step.to, got, m.Healthy(), step.want, step.well, m)
		}
		if again := m.Next(v, conditionsOf(all...)); again != m {
			t.Errorf("%+v, and then %+v", m, again)
		}
	}
}

func TestBegin(t *testing.T) {
	at := func(weights ...int) map[Key]Service {
		var s Service
		for i, w := range weights {
			if w >= 0 {
				s.Servers = append(s.Servers, Server{Address: netip.AddrFrom4([4]byte{10, 77, 0, byte(11 + i)}), Port: 3306, Weight: w})
			}
		}
		return map[Key]Service{{}: s}
	}
	for _, tt := range []struct {
		name      string
		initialUp bool
		found     map[Key]Service
		want      Memory
	}{
		{"a new pool", false, nil, Memory{Lost: true}},
		{"a new pool with initial_state: up", true, nil, Memory{}},
		{"found empty", true, at(), Memory{Lost: true}},
		{"found with real servers", false, at(3, -1, -1), Memory{Found: "0,"}},
		{"found with real servers in reserve", false, at(0, 0, 2), Memory{Lost: true, Sorry: true, Found: "2,"}},
		{"found with the sorry server", false, at(-1, -1, 2), Memory{Lost: true, Sorry: true, Found: "2,"}},
		{"found with both", false, at(3, -1, 2), Memory{Found: "0,2,"}},
		{"found with the sorry server in reserve", false, at(3, -1, 0), Memory{Found: "0,"}},
	} {
		if got := Begin(pool(1, 0, tt.initialUp), tt.found); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// TestPolicyNeverEmptiesAPool: after any history, a pool with a server that could take connections has one that does, and either
// real servers or sorry servers do. The memory does not change without a change of the conditions.
func TestPolicyNeverEmptiesAPool(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		quorum := rapid.IntRange(1, 4).Draw(t, "quorum")
		v := pool(quorum, rapid.IntRange(0, quorum-1).Draw(t, "hysteresis"), rapid.Bool().Draw(t, "initial"))
		m := Begin(v, drawTable(t, v))
		all, found := make([]Condition, 3), foundBy(m, v)
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			c := rapid.SampledFrom([]Condition{{}, up, down, full, weighted(0), weighted(5)}).Draw(t, "condition")
			c.Decision.Admission = rapid.SampledFrom([]Admission{Admitted, Admitted, Admitted, Closing, CutOff}).Draw(t, "admission")
			n := rapid.IntRange(0, 2).Draw(t, "server")
			all[n], found[n] = c, found[n] && !c.Known
			m = m.Next(v, conditionsOf(all...))
			if again := m.Next(v, conditionsOf(all...)); again != m {
				t.Fatalf("%+v, and then %+v", m, again)
			}
			taking := map[config.Role]bool{}
			for _, s := range Desired([]config.VirtualServer{v}, reserved(v, m, all), nil)[0].Servers {
				for _, r := range v.RealServers {
					if r.Address == s.Address && s.TakesConnections() {
						taking[r.Role] = true
					}
				}
			}
			could := map[config.Role]bool{}
			for i, r := range v.RealServers {
				could[r.Role] = could[r.Role] || (all[i].Known || found[i]) && all[i].Admits(r.Weight)
			}
			if (could[config.Regular] || could[config.Sorry]) && len(taking) == 0 {
				t.Fatalf("%+v: nobody takes connections: %+v", m, all)
			}
			if len(taking) > 1 {
				t.Fatalf("%+v: both have connections: %+v", m, all)
			}
		}
	})
}

func reserved(v config.VirtualServer, m Memory, all []Condition) func(config.ServerID) Condition {
	return func(id config.ServerID) Condition {
		return m.Apply(v.RealServers[id.Server[0]-'0'], conditionsOf(all...)(id))
	}
}

// drawTable returns a table with some of the servers of a pool, or none.
func drawTable(t *rapid.T, v config.VirtualServer) map[Key]Service {
	if rapid.Bool().Draw(t, "new") {
		return nil
	}
	var s Service
	for _, r := range v.RealServers {
		if weight := rapid.IntRange(-1, 1).Draw(t, "found"); weight >= 0 {
			s.Servers = append(s.Servers, Server{Address: r.Address, Port: r.Port, Weight: weight})
		}
	}
	return map[Key]Service{KeyOf(v): s}
}

// drawOnStandby returns some of the standby servers of a pool.
func drawOnStandby(t *rapid.T, v config.VirtualServer) []OnStandby {
	var all []OnStandby
	for _, r := range v.RealServers {
		if r.Role == config.Standby && rapid.Bool().Draw(t, "remembered") {
			all = append(all, OnStandby{KeyOf(v), netip.AddrPortFrom(r.Address, r.Port)})
		}
	}
	return all
}

// TestResume: a pool begins on the standby servers that it was on, unless a primary one has connections in the table, the servers
// are on standby no more, or its connections go back by themselves.
func TestResume(t *testing.T) {
	server := func(last byte) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 77, 0, last}), 3306)
	}
	key := Key{Protocol: "tcp", Address: server(100).Addr(), Port: 3306}
	begun, lost := Memory{Lost: true, Standby: true, Failed: true, Awaited: "two,"}, Memory{Lost: true}
	found := Memory{Found: "one,"}
	for _, tt := range []struct {
		name  string
		goes  bool
		began Memory
		all   []OnStandby
		want  Memory
	}{
		{"nothing is remembered", false, lost, nil, lost},
		{"it was on standby", false, lost, []OnStandby{{key, server(12)}}, begun},
		{"it goes back by itself", true, lost, []OnStandby{{key, server(12)}}, lost},
		{"another server was on standby", false, lost, []OnStandby{{key, server(13)}}, lost},
		{"what is primary now was on standby", false, lost, []OnStandby{{key, server(11)}}, lost},
		{"another pool was", false, lost, []OnStandby{{Key{Protocol: "udp", Address: key.Address, Port: 3306}, server(12)}}, lost},
		{"the primary one is in the table", false, found, []OnStandby{{key, server(12)}}, found},
		{"the table is empty", false, lost, []OnStandby{{key, server(12)}, {key, server(13)}}, begun},
	} {
		v := config.VirtualServer{Name: "db", Protocol: "tcp", Address: key.Address, Port: 3306, StaysOnStandby: !tt.goes, RealServers: []config.RealServer{
			{Name: "one", Address: server(11).Addr(), Port: 3306, Weight: 1}, {Name: "two", Address: server(12).Addr(), Port: 3306, Weight: 1, Role: config.Standby},
		}}
		if got := tt.began.Resume(v, tt.all); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
		if got := tt.want.OnStandby(v); len(got) > 0 != (tt.want == begun) || len(got) > 0 && got[0] != (OnStandby{key, server(12)}) {
			t.Errorf("%s: remembered %v", tt.name, got)
		}
	}
}

// foundBy reports which servers a memory begins with.
func foundBy(m Memory, v config.VirtualServer) []bool {
	found := make([]bool, len(v.RealServers))
	for i, r := range v.RealServers {
		found[i] = m.found(r.Name)
	}
	return found
}
