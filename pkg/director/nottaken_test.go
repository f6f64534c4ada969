package director

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/problem"
)

// notTakenText returns the problem of VIPs that nobody holds; "" if there is none.
func (m *machine) notTakenText() string {
	all := m.Status().ProblemDetails
	if at := slices.IndexFunc(all, func(p problem.Problem) bool { return p.Code == problem.VIPsNotTaken }); at >= 0 {
		return all[at].Text
	}
	return ""
}

// TestNotTaken: while nobody holds the VIPs, as far as a director knows, that is a problem: from an advert interval after its start
// on, through its startup_delay, and from the end of a fault on, also if the fault returns again and again. Once a MASTER is heard
// it is none.
func TestNotTaken(t *testing.T) {
	const one = electing + "  - {name: a, interface: eth0, virtual_router_id: 51, advert_interval: 1s, virtual_addresses: [10.77.0.100], preempt: false"
	expect := func(t *testing.T, m *machine, when, state, text string) {
		t.Helper()
		if got := m.notTakenText(); m.state("a") != state || (got == "") != (text == "") || !strings.Contains(got, text) {
			t.Errorf("%s: %s: %s, problem %q, want %s and %q", when, m.state("a"), m.reason("a"), got, state, text)
		}
	}
	t.Run("start", func(t *testing.T) {
		world(t, func(t *testing.T, m *machine) {
			m.begin(one + "}\n")
			m.pass(900 * time.Millisecond)
			expect(t, m, "at the start", "BACKUP", "")
			m.pass(1200 * time.Millisecond)
			expect(t, m, "nobody is heard", "BACKUP", "not MASTER yet: BACKUP: started, listening for a MASTER")
			m.pass(2 * time.Second)
			expect(t, m, "afterwards", "MASTER", "")
		})
	})
	t.Run("startup_delay", func(t *testing.T) {
		world(t, func(t *testing.T, m *machine) {
			n := newNode(m)
			defer n.end()
			m.begin(one + ", startup_delay: 20s}\n")
			m.pass(5 * time.Second)
			expect(t, m, "nobody is heard", "BACKUP", "listening for a MASTER for 20s")
			n.hear("peer", 10, "10.77.0.3", 51, 50)
			m.pass(2 * time.Second)
			expect(t, m, "a MASTER is heard", "BACKUP", "")
			n.silence("peer")
			m.pass(6 * time.Second)
			expect(t, m, "it is silent", "BACKUP", "no MASTER is heard")
			m.pass(8 * time.Second)
			expect(t, m, "after the delay", "MASTER", "")
		})
	})
	t.Run("flaps", func(t *testing.T) {
		world(t, func(t *testing.T, m *machine) {
			n := newNode(m)
			defer n.end()
			m.start(one + "}\n")
			for range 5 {
				m.carrier(false)
				m.pass(300 * time.Millisecond)
				m.carrier(true)
				m.pass(100 * time.Millisecond)
				expect(t, m, "the carrier is back", "BACKUP", "recovered")
				m.pass(600 * time.Millisecond)
				expect(t, m, "the carrier is back", "BACKUP", "recovered")
			}
			n.hear("peer", 10, "10.77.0.3", 51, 50)
			m.pass(2 * time.Second)
			expect(t, m, "another director serves", "BACKUP", "")
		})
	})
}
