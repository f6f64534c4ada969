package director

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/problem"
)

// weighing is the cluster file with one virtual server whose real servers have these weights.
func weighing(one, two int) string {
	text := electing + router("a", "eth0", 51, vip) + virtualServers + balancing("mysql", vip, "dr", "10.77.0.11", "10.77.0.12")
	for n, weight := range map[string]int{"mysql1": one, "mysql2": two} {
		text = strings.Replace(text, "{name: "+n, fmt.Sprintf("{weight: %d, name: %s", weight, n), 1)
	}
	return text
}

// judged is the state and reason of the first virtual server, with the codes of all problems.
func (m *machine) judged() string {
	doc := m.Status()
	v := doc.VirtualServers[0]
	text := v.State + ": " + v.Reason + " |"
	for _, p := range doc.ProblemDetails {
		text += fmt.Sprintf(" %s %s", p.Severity, p.Code)
	}
	return text
}

// TestDrainedServersServeNobody: a real server of weight 0 is in the table and takes no connections.
func TestDrainedServersServeNobody(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		expect := func(when, want string) {
			t.Helper()
			if got := m.judged(); got != want {
				t.Errorf("%s: %q, want %q", when, got, want)
			}
		}
		m.start(weighing(1, 1))
		m.happened()
		m.reload(weighing(0, 1))
		expect("one is drained", "up: 1 of 2 real servers are up; 1 is draining (weight 0) |")
		if r := m.Status().VirtualServers[0].RealServers[0]; r.State != "draining" || r.Weight != 0 || r.Reason != "draining: the weight is 0; tcp: connected" {
			t.Errorf("%+v", r)
		}
		m.refuses(two, true)
		m.pass(3 * time.Second)
		expect("and the other is dead", "down: takes no connections: of 2 real servers 1 is down, 1 is draining (weight 0) | CRITICAL virtual_server_down")
		if m.state("a") != "MASTER" {
			t.Errorf("it gave the VIP up: %s", m.reason("a"))
		}
		m.refuses(two, false)
		m.pass(3 * time.Second)
		expect("it lives again", "up: 1 of 2 real servers are up; 1 is draining (weight 0) |")
		m.reload(weighing(0, 0))
		expect("all weights are 0", "down: takes no connections: all weights are 0 | CRITICAL virtual_server_down")
		m.reload(weighing(1, 1))
		expect("none is 0", "up: all 2 real servers are up |")
		m.pass(time.Second)
		raised, cleared := 0, 0
		for _, e := range m.happened() {
			switch e {
			case "problem_raised mysql: -> CRITICAL " + string(problem.VirtualServerDown):
				raised++
			case "problem_cleared mysql: CRITICAL -> " + string(problem.VirtualServerDown):
				cleared++
			}
		}
		if raised != 2 || cleared != 2 {
			t.Errorf("raised %d and cleared %d times, want 2", raised, cleared)
		}
	})
}

// TestDrainedServersAreNoReasonToPreempt: one real server is drained and the other dead, so this director would refuse
// the clients whom a MASTER of lower priority serves.
func TestDrainedServersAreNoReasonToPreempt(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.refuses(two, true)
		m.begin(weighing(0, 1))
		m.pass(100 * time.Millisecond)
		listen := func(d time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); m.pass(50 * time.Millisecond) {
				m.advertise("eth0", "10.77.0.3", 51, 50)
			}
		}
		listen(time.Minute)
		if !strings.Contains(m.table(), "-r 10.77.0.11:3306 -g -w 0") || m.state("a") != "BACKUP" || !strings.Contains(m.reason("a"), noServer) {
			t.Errorf("%s: %s\n%s", m.state("a"), m.reason("a"), m.table())
		}
		m.refuses(two, false)
		listen(5 * time.Second)
		if m.state("a") != "MASTER" {
			t.Errorf("with a server that takes connections: %s: %s", m.state("a"), m.reason("a"))
		}
	})
}
