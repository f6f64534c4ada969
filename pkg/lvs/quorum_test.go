package lvs

import (
	"fmt"
	"net/netip"
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
	met, lost, sorry, adopted := Memory{}, Memory{Lost: true}, Memory{Lost: true, Sorry: true}, Memory{Adopted: true}
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
		{"nothing is known about a sorry server that was found with the clients", 1, 0, false, Memory{Lost: true, Sorry: true, Adopted: true}, down, down, unknown, Memory{Lost: true, Sorry: true, Adopted: true}},
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
		{"unknown, found in the table", 4, 0, false, adopted, unknown, unknown, up, adopted},
		{"unknown, not in the table", 4, 0, false, met, unknown, unknown, up, Memory{Sorry: true}},
		{"everything is known about what was found", 4, 0, false, adopted, up, up, up, met},
		{"unknown would not suffice", 4, 0, false, met, down, unknown, up, sorry},
	} {
		v := pool(tt.quorum, tt.hysteresis, tt.initialUp)
		if got := tt.before.Next(v, conditionsOf(tt.one, tt.two, tt.sorry)); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestBegin(t *testing.T) {
	at := func(weights ...int) Service {
		var s Service
		for i, w := range weights {
			if w >= 0 {
				s.Servers = append(s.Servers, Server{Address: netip.AddrFrom4([4]byte{10, 77, 0, byte(11 + i)}), Port: 3306, Weight: w})
			}
		}
		return s
	}
	for _, tt := range []struct {
		name      string
		initialUp bool
		found     Service
		known     bool
		want      Memory
	}{
		{"a new pool", false, Service{}, false, Memory{Lost: true}},
		{"a new pool with initial_state: up", true, Service{}, false, Memory{}},
		{"found empty", true, at(), true, Memory{Lost: true, Adopted: true}},
		{"found with real servers", false, at(3, -1, -1), true, Memory{Adopted: true}},
		{"found with real servers in reserve", false, at(0, 0, 2), true, Memory{Lost: true, Sorry: true, Adopted: true}},
		{"found with the sorry server", false, at(-1, -1, 2), true, Memory{Lost: true, Sorry: true, Adopted: true}},
		{"found with both", false, at(3, -1, 2), true, Memory{Adopted: true}},
		{"found with the sorry server in reserve", false, at(3, -1, 0), true, Memory{Adopted: true}},
	} {
		if got := Begin(pool(1, 0, tt.initialUp), tt.found, tt.known); got != tt.want {
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
		m := Begin(v, Service{}, false)
		all := make([]Condition, 3)
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			c := rapid.SampledFrom([]Condition{{}, up, down, full, weighted(0), weighted(5)}).Draw(t, "condition")
			c.Decision.Admission = rapid.SampledFrom([]Admission{Admitted, Admitted, Admitted, Closing, CutOff}).Draw(t, "admission")
			all[rapid.IntRange(0, 2).Draw(t, "server")] = c
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
				could[r.Role] = could[r.Role] || all[i].Known && all[i].Admits(r.Weight)
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
		c := conditionsOf(all...)(id)
		c.Reserve = m.Reserve(v.RealServers[id.Server[0]-'0'].Role)
		return c
	}
}
