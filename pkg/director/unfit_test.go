package director

import (
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/problem"
)

var noRoute = health.Result{Code: health.NoNetwork, Class: health.Unknown, Cause: "tcp: dial: this director has no route there"}

// TestNoWayToTheServers: a MASTER that has no way to any of its real servers gives the VIP to a director that may have
// one, keeps its table, and takes the VIP itself while there is no other director. It preempts when it is fit again.
func TestNoWayToTheServers(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(electing + router("a", "eth0", 51, vip) + virtualServers + balancing("mysql", vip, "dr", one, two))
		table := m.table()
		listen := func(d time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); m.pass(50 * time.Millisecond) {
				m.advertise("eth0", "10.77.0.3", 51, 50)
			}
		}
		m.answer(one, noRoute)
		m.pass(5 * time.Second)
		if got := m.judged(); m.state("a") != "MASTER" || got != "up: all 2 real servers are up | WARNING check_no_network" {
			t.Errorf("no way to one of two: %s, %s", m.reason("a"), got)
		}
		m.answer(two, noRoute)
		m.pass(1500 * time.Millisecond)
		if m.state("a") != "MASTER" {
			t.Errorf("after a single check: %s", m.reason("a"))
		}
		for end := time.Now().Add(5 * time.Second); m.state("a") == "MASTER" && time.Now().Before(end); {
			m.pass(50 * time.Millisecond)
		}
		listen(5 * time.Second)
		if m.state("a") != "FAULT" || !strings.Contains(m.reason("a"), "no way to the real servers of mysql") || !strings.Contains(m.reason("a"), "10.77.0.3 serves") {
			t.Errorf("%s: %s", m.state("a"), m.reason("a"))
		}
		if m.table() != table {
			t.Errorf("the table was\n%s\nand is\n%s", table, m.table())
		}
		m.pass(5 * time.Second) // the peer is gone
		if got := m.judged(); m.state("a") != "MASTER" || !strings.HasSuffix(got, "| CRITICAL servers_unreachable") {
			t.Errorf("alone: %s: %s", m.reason("a"), got)
		}
		m.refuses(one, false)
		m.refuses(two, false)
		m.pass(5 * time.Second)
		if got := m.judged(); m.state("a") != "MASTER" || got != "up: all 2 real servers are up |" || strings.Contains(m.reason("a"), "no way") {
			t.Errorf("fit again: %s: %s", m.reason("a"), got)
		}
		if m.table() != table {
			t.Errorf("the table was\n%s\nand is\n%s", table, m.table())
		}
	})
}

// TestTrackWithoutNetwork: a track is about this director, so that having no way to it is a failure.
func TestTrackWithoutNetwork(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		tracked := strings.Replace(router("a", "eth0", 51, vip), "advert_interval", "tracks: [gateway], advert_interval", 1)
		m.start(electing + tracked + "tracks:\n  - {name: gateway, address: 10.78.0.1, type: tcp, port: 80, interval: 1s}\n")
		m.answer("10.78.0.1", noRoute)
		m.pass(1500 * time.Millisecond)
		if m.state("a") != "MASTER" {
			t.Errorf("after a single check: %s", m.reason("a"))
		}
		m.pass(3 * time.Second)
		doc := m.Status()
		if m.state("a") != "FAULT" || !strings.Contains(m.reason("a"), "gateway: down: tcp: dial: this director has no route there") {
			t.Errorf("%s: %s", m.state("a"), m.reason("a"))
		}
		if p := doc.ProblemDetails; len(p) != 1 || p[0].Code != problem.InstanceFault {
			t.Errorf("problems: %+v", p)
		}
		m.refuses("10.78.0.1", false)
		m.pass(5 * time.Second)
		if m.state("a") != "MASTER" {
			t.Errorf("%s: %s", m.state("a"), m.reason("a"))
		}
	})
}

// TestAllChecksFailAtOnce: when all checks of a director fail at once, that is one problem and not one per virtual
// server. What follows from it stays as it was.
func TestAllChecksFailAtOnce(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		servers := []string{one, two, "10.77.0.13"}
		m.start(electing + router("a", "eth0", 51, vip) + virtualServers + balancing("mysql", vip, "dr", servers...) +
			strings.Replace(balancing("web", vip, "dr", servers...), "3306", "80", 1))
		for _, s := range servers {
			m.answer(s, health.Result{Code: health.Timeout, Class: health.Bad, Cause: "tcp: no answer"})
		}
		m.pass(5 * time.Second)
		p := m.Status().ProblemDetails
		if len(p) != 1 || p[0].Code != problem.AllChecksFail || !strings.HasPrefix(p[0].Text, "all 6 checks fail since ") {
			t.Errorf("problems: %+v", p)
		}
		if m.state("a") != "MASTER" || strings.Contains(m.table(), "-r ") {
			t.Errorf("%s\n%s", m.reason("a"), m.table())
		}
		m.refuses(two, false) // it answers
		m.pass(5 * time.Second)
		codes := ""
		for _, p := range m.Status().ProblemDetails {
			codes += string(p.Code) + " "
		}
		if codes != "virtual_server_degraded virtual_server_degraded " {
			t.Errorf("one server answers: %s", codes)
		}
	})
}
