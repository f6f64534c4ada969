package director

import (
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/problem"
)

const unsteady = electing + "  - {name: a, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [10.77.0.100], " +
	"down_timer_adverts: 21, interface_down_delay: 2s, interface_up_delay: 30s, deaf_delay: 0s}\n"

// TestFlappingLink: a MASTER keeps its VIP while its carrier is away for less than interface_down_delay, and announces it again
// when it is back. If it is away for longer, the director is in FAULT, and preempts the other MASTER only when the carrier has
// stayed for interface_up_delay. A VIP that nobody holds it takes at once.
func TestFlappingLink(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(unsteady + virtualServers + strings.Replace(balancing("mysql", vip, "dr", one, two), "interval: 1s", "interval: 500ms, timeout: 200ms", 1))
		n := newNode(m)
		defer n.end()
		announced := strings.Count(m.log.String(), "announcing its VIPs again")
		for range 3 {
			m.carrier(false)
			m.answer(one, noRoute)
			m.answer(two, noRoute)
			m.pass(1900 * time.Millisecond)
			if p := m.Status().ProblemDetails; m.state("a") != "MASTER" || strings.Contains(m.reason("a"), "no way") || len(p) == 0 || p[0].Code != problem.CarrierLost {
				t.Errorf("without a carrier: %s: %+v", m.reason("a"), p)
			}
			m.carrier(true)
			m.refuses(one, false)
			m.refuses(two, false)
			m.pass(100 * time.Millisecond)
			if p := m.Status().ProblemDetails; m.state("a") != "MASTER" || len(p) == 0 || p[0].Code != problem.CarrierLost {
				t.Errorf("with a carrier again: %s: %+v", m.reason("a"), p)
			}
		}
		if got := strings.Count(m.log.String(), "announcing its VIPs again") - announced; got != 3 {
			t.Errorf("announced %d times after 3 losses", got)
		}
		m.pass(5 * time.Second)
		if p := m.Status().ProblemDetails; len(p) > 0 {
			t.Errorf("afterwards: %+v", p)
		}

		m.pass(300 * time.Millisecond) // the loops look each second
		m.carrier(false)
		m.pass(2020 * time.Millisecond)
		if m.state("a") != "FAULT" {
			t.Errorf("after interface_down_delay: %s", m.reason("a"))
		}
		n.hear("peer", 10, "10.77.0.3", 51, 50)
		m.carrier(true)
		m.pass(29 * time.Second)
		if m.state("a") != "BACKUP" || !strings.Contains(m.reason("a"), "interface_up_delay") {
			t.Errorf("before interface_up_delay: %s", m.reason("a"))
		}
		m.pass(5 * time.Second)
		if m.state("a") != "MASTER" {
			t.Errorf("after interface_up_delay: %s", m.reason("a"))
		}

		m.carrier(false)
		m.pass(2100 * time.Millisecond)
		n.silence("peer")
		m.carrier(true)
		m.pass(4 * time.Second)
		if m.state("a") != "MASTER" {
			t.Errorf("nobody holds the VIP: %s", m.reason("a"))
		}
	})
}
