package director

import (
	"strings"
	"testing"
	"time"
)

// TestSuspendedDirector: with ha_suspend a BACKUP checks nothing and says so, takes over at once from a MASTER that is gone, and checks
// before it preempts one of a lower priority.
func TestSuspendedDirector(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		n := newNode(m)
		defer func() { n.end() }()
		expect := func(when, state, entries, judged string) {
			t.Helper()
			m.pass(5 * time.Second)
			if got := m.entry(one) + " " + m.entry(two); m.state("a") != state || got != entries || m.judged() != judged {
				t.Errorf("%s: %s, entries %s, %s; want %s, %s, %s", when, m.state("a"), got, m.judged(), state, entries, judged)
			}
		}
		const none = "its checks are suspended (ha_suspend) until this director is MASTER of the address; "
		n.hear("peer", 10, "10.77.0.3", 51, 200)
		m.begin(withPolicy("ha_suspend: true"))
		expect("BACKUP at the start", "BACKUP", "- -", "down: "+none+"0 of 2 real servers have an entry in the table |")
		for _, e := range m.happened() {
			if strings.HasPrefix(e, "virtual_server_state") {
				t.Errorf("nobody has looked: %s", e)
			}
		}
		n.silence("peer")
		expect("the MASTER is gone", "MASTER", "1 1", "up: all 2 real servers are up |")
		n.hear("peer", 10, "10.77.0.3", 51, 200)
		m.pass(time.Second)
		m.refuses(one, true)
		expect("BACKUP again, and a server has failed", "BACKUP", "1 1", "degraded: "+none+"2 of 2 real servers have an entry in the table |")
		if v := m.Status().VirtualServers[0]; !v.ChecksSuspended || v.RealServers[0].State != "unknown" || !strings.Contains(v.RealServers[0].Reason, "suspended") {
			t.Errorf("%+v", v)
		}
		m.refuses(two, true)
		n.hear("peer", 10, "10.77.0.3", 51, 50)
		expect("no server to preempt for", "BACKUP", "- -", "down: no real server is up | CRITICAL virtual_server_down")
		m.refuses(two, false)
		n.silence("peer") // it gives way
		expect("a server to preempt for", "MASTER", "- 1", "degraded: 1 of 2 real servers are up | WARNING virtual_server_degraded")
	})
}
