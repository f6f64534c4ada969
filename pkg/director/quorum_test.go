package director

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/override"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/problem/problemtest"
)

const sorry = "10.77.0.20"

// withPolicy is codesFile with more keys of the virtual server.
func withPolicy(keys string) string {
	return strings.Replace(codesFile, "forward: dr,", "forward: dr, "+keys+",", 1)
}

const withSorry = "sorry_server: {name: sorry, address: " + sorry + "}"

func poolCases() []codesCase {
	return []codesCase{
		{File: withPolicy(withSorry), Case: problemtest.Case[*node]{
			Code: problem.SorryServerUsed, Subject: "mysql", Beside: []problem.Code{problem.VirtualServerDegraded},
			Break: func(n *node) { n.refuses(one, true); n.refuses(two, true) },
			Mend:  func(n *node) { n.refuses(one, false); n.refuses(two, false) },
		}},
		{File: withPolicy(withSorry), Case: problemtest.Case[*node]{
			Code: problem.SorryServerDown, Subject: "mysql/sorry",
			Break: func(n *node) { n.refuses(sorry, true) },
			Mend:  func(n *node) { n.refuses(sorry, false) },
		}},
		{File: withPolicy("quorum: 2"), Case: problemtest.Case[*node]{
			Code: problem.QuorumLost, Subject: "mysql",
			Break: func(n *node) { n.refuses(one, true) },
			Mend:  func(n *node) { n.refuses(one, false) },
		}},
		{File: strings.Replace(codesFile, "name: mysql2,", "name: mysql2, standby: true,", 1), Case: problemtest.Case[*node]{
			Code: problem.StandbyUsed, Subject: "mysql",
			Break: func(n *node) { n.refuses(one, true) },
			Mend:  func(n *node) { n.refuses(one, false) },
		}},
		{File: strings.Replace(codesFile, "name: mysql2,", "name: mysql2, standby: true,", 1), Case: problemtest.Case[*node]{
			Code: problem.PoolEmptied, Subject: "mysql", Fault: "the standby server is drained", Beside: []problem.Code{problem.VirtualServerDown},
			Break: func(n *node) {
				drain := mysql1
				drain.Target = "mysql/mysql2"
				if err := n.override(drain); err != "" {
					n.t.Error(err)
				}
				n.refuses(one, true)
			},
			Mend: func(n *node) {
				n.refuses(one, false)
				enable := as(override.Enable)
				enable.Target = "mysql/mysql2"
				if err := n.override(enable); err != "" {
					n.t.Error(err)
				}
			},
		}},
		{File: withPolicy("panic_threshold: 51"), Case: problemtest.Case[*node]{
			Code: problem.BelowPanicThreshold, Subject: "mysql", Beside: []problem.Code{problem.VirtualServerDegraded},
			Break: func(n *node) { n.refuses(one, true) },
			Mend:  func(n *node) { n.refuses(one, false) },
		}},
	}
}

// TestStandbyServers: a standby server has the connections while the primary one is down, and keeps them with fail_back: false.
func TestStandbyServers(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		expect := func(when, judged string, entries ...string) {
			t.Helper()
			m.pass(5 * time.Second)
			if got := m.entry(one) + " " + m.entry(two); got != strings.Join(entries, " ") || m.judged() != judged {
				t.Errorf("%s: %s, entries %s, want %s, %v", when, m.judged(), got, judged, entries)
			}
		}
		m.start(strings.Replace(withPolicy("fail_back: false"), "name: mysql2,", "name: mysql2, standby: true,", 1))
		expect("all are up", "up: all 1 real servers are up; 1 is in reserve |", "1", "-")
		m.refuses(one, true)
		expect("the primary is down", "degraded: the standby servers have the connections; 1 of 2 real servers are up | WARNING standby_used", "-", "1")
		m.refuses(one, false)
		expect("it is up again", "degraded: the standby servers have the connections; 1 of 2 real servers are up; 1 is in reserve | WARNING standby_used", "-", "1")
		m.again()
		expect("after a kill", "degraded: the standby servers have the connections; 1 of 2 real servers are up; 1 is in reserve | WARNING standby_used", "-", "1")
		drain := mysql1
		drain.Target = "mysql/mysql2"
		if err := m.override(drain); err != "" {
			t.Error(err)
		}
		m.pass(5 * time.Second) // for the last packets
		expect("the standby server is drained", "up: 1 of 2 real servers are up; 1 is disabled |", "1", "-")
		drain.Kind = override.Enable
		if err := m.override(drain); err != "" {
			t.Error(err)
		}
		expect("and enabled", "up: all 1 real servers are up; 1 is in reserve |", "1", "-")

		m.refuses(one, true)
		m.pass(5 * time.Second)
		m.refuses(one, false)
		m.pass(5 * time.Second)
		const onStandby = "degraded: the standby servers have the connections; 1 of 2 real servers are up; 1 is in reserve | WARNING standby_used"
		restart := func(when, judged string, entries ...string) {
			t.Helper()
			_ = m.stop()
			m.history()
			m.start(m.file)
			expect(when, judged, entries...)
		}
		file := m.file
		restart("after a stop", onStandby, "-", "1")
		for _, line := range m.history() {
			if strings.HasPrefix(line, "ipvsadm -a") && strings.Contains(line, one) {
				t.Errorf("the primary server had an entry: %s", line)
			}
		}
		m.file = strings.Replace(file, "fail_back: false,", "fail_back: false, initial_state: up,", 1)
		restart("after another stop", onStandby, "-", "1")
		_ = m.stop()
		m.refuses(two, true)
		m.start(file)
		expect("the standby server has failed meanwhile", "degraded: 1 of 2 real servers are up | WARNING virtual_server_degraded", "1", "-")
		m.refuses(two, false)
		restart("which is remembered", "up: all 1 real servers are up; 1 is in reserve |", "1", "-")
	})
}

// TestStandbyServersGone: what the state file says of standby servers counts for these alone, and only with fail_back: false.
func TestStandbyServersGone(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		stays := strings.Replace(withPolicy("fail_back: false"), "name: mysql2,", "name: mysql2, standby: true,", 1)
		for _, tt := range []struct{ name, file, want string }{
			{"the same file", stays, "- 1"},
			{"connections go back", strings.Replace(stays, "fail_back: false", "fail_back: true", 1), "1 -"},
			{"the servers have changed their roles", strings.NewReplacer("name: mysql1,", "name: mysql1, standby: true,", "standby: true,", "").Replace(stays), "- 1"},
			{"no state file", stays, "1 -"},
		} {
			m.refuses(one, true)
			m.start(stays)
			m.pass(5 * time.Second)
			m.refuses(one, false)
			m.pass(5 * time.Second)
			_ = m.stop()
			if tt.name == "no state file" {
				if err := os.Remove(filepath.Join(m.dir, "state.json")); err != nil {
					t.Fatal(err)
				}
			}
			m.start(tt.file)
			m.pass(5 * time.Second)
			if got := m.entry(one) + " " + m.entry(two); got != tt.want {
				t.Errorf("%s: entries %s, want %s", tt.name, got, tt.want)
			}
			_ = m.stop()
		}
	})
}

// TestPanicThreshold: real servers that fail when too few are up keep their entries, and count as down.
func TestPanicThreshold(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		expect := func(when, judged string, entries ...string) {
			t.Helper()
			m.pass(5 * time.Second)
			if got := m.entry(one) + " " + m.entry(two); got != strings.Join(entries, " ") || m.judged() != judged {
				t.Errorf("%s: %s, entries %s, want %s, %v", when, m.judged(), got, judged, entries)
			}
		}
		m.start(withPolicy("panic_threshold: 50"))
		m.refuses(one, true)
		expect("one of two is down", "degraded: 1 of 2 real servers are up | WARNING virtual_server_degraded", "-", "1")
		m.refuses(two, true)
		expect("both", "down: no real server is up; 1 is down and still gets connections (panic_threshold) | CRITICAL virtual_server_down WARNING below_panic_threshold", "-", "1")
		if r := m.Status().VirtualServers[0].RealServers[1]; r.State != "down" || !strings.Contains(r.Reason, "it still gets connections") {
			t.Errorf("%+v", r)
		}
		m.refuses(one, false)
		expect("one is up again", "degraded: 1 of 2 real servers are up | WARNING virtual_server_degraded", "1", "-")
	})
	world(t, func(t *testing.T, m *machine) {
		expect := func(when, judged string) {
			t.Helper()
			m.pass(5 * time.Second)
			if m.judged() != judged {
				t.Errorf("with a sorry server, %s: %s, want %s", when, m.judged(), judged)
			}
		}
		m.start(withPolicy("panic_threshold: 51, " + withSorry))
		m.refuses(one, true)
		expect("one of two is down", "degraded: 1 of 2 real servers are up; 1 is down and still gets connections (panic_threshold) | WARNING virtual_server_degraded WARNING below_panic_threshold")
		m.refuses(two, true)
		expect("both", "down: the quorum of 1 is lost, and clients go to sorry | CRITICAL sorry_server_used")
	})
}

// TestSorryServer: the sorry server has the clients while the quorum is lost, whoever is up, and not while it is met. If it is down,
// the real servers that are left go on.
func TestSorryServer(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		expect := func(when, judged string, entries ...string) {
			t.Helper()
			m.pass(5 * time.Second)
			got := strings.Join([]string{m.entry(one), m.entry(two), m.entry(sorry)}, " ")
			if got != strings.Join(entries, " ") || !strings.HasPrefix(m.judged(), judged) {
				t.Errorf("%s: %s, entries %s, want %s, %v", when, m.judged(), got, judged, entries)
			}
		}
		m.start(withPolicy("quorum: 2, " + withSorry))
		expect("all are up", "up: all 2 real servers are up |", "1", "1", "-")
		m.refuses(one, true)
		expect("one is down", "down: the quorum of 2 is lost, and clients go to sorry | CRITICAL sorry_server_used", "-", "-", "1")
		if r := m.Status().VirtualServers[0].RealServers[1]; r.State != "up" || r.Weight != 0 || !strings.HasSuffix(r.Reason, "takes no connections: the quorum is lost, and a sorry server has them") {
			t.Errorf("the other one: %+v", r)
		}
		m.refuses(sorry, true)
		expect("the sorry server is down", "degraded: the quorum of 2 is lost; 1 of 2 real servers are up |", "-", "1", "-")
		m.refuses(sorry, false)
		m.refuses(one, false)
		expect("all are up again", "up: all 2 real servers are up |", "1", "1", "-")
		if r := m.Status().VirtualServers[0].RealServers[2]; r.Role != "sorry" || r.State != "up" || !strings.HasSuffix(r.Reason, "takes no connections: it is a sorry server, and the real servers have them") {
			t.Errorf("the sorry server: %+v", r)
		}
		if err := m.override(mysql1); !strings.HasPrefix(err, "mysql/mysql1 is the last real server of mysql") {
			t.Errorf("a drain that costs the quorum: %q", err)
		}
		forced := mysql1
		forced.Force = true
		if err := m.override(forced); err != "" {
			t.Error(err)
		}
		m.pass(5 * time.Second) // for the last packets
		expect("drained by force", "down: the quorum of 2 is lost, and clients go to sorry | CRITICAL pool_emptied", "-", "-", "1")
		if err := m.override(as(override.Enable)); err != "" {
			t.Error(err)
		}
		expect("enabled", "up: ", "1", "1", "-")
	})
}

// TestLastSorryServer: a sorry server that has the clients is taken out only by force, and then a problem says who has emptied the pool.
func TestLastSorryServer(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(withPolicy(withSorry))
		m.refuses(one, true)
		m.refuses(two, true)
		m.pass(5 * time.Second)
		drain := mysql1
		drain.Target = "mysql/sorry"
		if err := m.override(drain); !strings.HasPrefix(err, "mysql/sorry is the last real server of mysql that takes connections") {
			t.Errorf("the sorry server is drained: %q", err)
		}
		drain.Force = true
		if err := m.override(drain); err != "" {
			t.Error(err)
		}
		m.pass(10 * time.Second)
		if got := m.judged(); m.entry(sorry) != "-" || !strings.Contains(got, "| CRITICAL pool_emptied") {
			t.Errorf("by force: %s, entry %s", got, m.entry(sorry))
		}
		drain.Kind, drain.Force = override.Enable, false
		if err := m.override(drain); err != "" {
			t.Error(err)
		}
		m.pass(5 * time.Second)
		if got := m.judged(); m.entry(sorry) != "1" || !strings.Contains(got, "| CRITICAL sorry_server_used") {
			t.Errorf("enabled: %s, entry %s", got, m.entry(sorry))
		}
	})
}

// TestAdoptedPool: a restart finds the clients at the sorry server, and leaves them there until the checks have decided.
func TestAdoptedPool(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(withPolicy(withSorry))
		m.refuses(one, true)
		m.refuses(two, true)
		m.pass(5 * time.Second)
		m.history()
		m.again()
		m.pass(5 * time.Second)
		for _, line := range m.history() {
			if strings.HasPrefix(line, "ipvsadm") {
				t.Errorf("after a restart: %s", line)
			}
		}
	})
}

// TestSorryServerAddedByAReload: a reload that adds a quorum and a sorry server takes no clients from the server that has them.
func TestSorryServerAddedByAReload(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(strings.Replace(codesFile, "name: mysql1,", "name: mysql1, weight: 2,", 1))
		m.refuses(two, true)
		m.pass(5 * time.Second)
		m.history()
		m.reload(strings.Replace(withPolicy("quorum: 2, hysteresis: 1, "+withSorry), "name: mysql1,", "name: mysql1, weight: 2,", 1))
		m.pass(5 * time.Second)
		if got := strings.Join([]string{m.entry(one), m.entry(two), m.entry(sorry)}, " "); got != "2 - -" {
			t.Errorf("entries %s", got)
		}
		for _, line := range m.history() {
			if strings.HasPrefix(line, "ipvsadm") {
				t.Errorf("a reload: %s", line)
			}
		}
	})
}

// TestDrainUnderASorryServer: a drain of the last real server keeps its connections, also after a restart, whoever has the new ones.
func TestDrainUnderASorryServer(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(withPolicy(withSorry))
		m.refuses(two, true)
		m.pass(5 * time.Second)
		m.connected(one, 2)
		forced := mysql1
		forced.Force = true
		if err := m.override(forced); err != "" {
			t.Fatal(err)
		}
		expect := func(when, entries string) {
			t.Helper()
			m.pass(20 * time.Second)
			if got := strings.Join([]string{m.entry(one), m.entry(two), m.entry(sorry)}, " "); got != entries {
				t.Errorf("%s: entries %s, want %s", when, got, entries)
			}
		}
		expect("two connections", "0 - 1")
		m.again()
		expect("after a restart", "0 - 1")
		if got := m.ended(); len(got) != 0 {
			t.Error(got)
		}
		m.connected(one, 0)
		expect("without connections", "- - 1")
		if got := m.ended(); len(got) != 1 || !strings.Contains(got[0], "drained") {
			t.Error(got)
		}
	})
}
