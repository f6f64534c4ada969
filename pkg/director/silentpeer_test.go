package director

import (
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// TestSilentPeer: a director that becomes MASTER because another one is silent says whether that machine is alive, until it hears a
// router again. After a resignation, and of a router in another network, it says nothing.
func TestSilentPeer(t *testing.T) {
	const answers, silent = "10.77.0.3 still answers ARP: its daemon has ended, or its adverts are lost on the way", "10.77.0.3 does not answer ARP either: that machine is down, or one of the two is cut off"
	of := func(m *machine) *status.SilentPeer { return m.Status().Instances[0].SilentPeer }
	for _, c := range []struct {
		name, peer string
		alive      bool
		reason     string
	}{
		{"its machine is alive", "10.77.0.3", true, answers},
		{"it is gone", "10.77.0.3", false, silent},
		{"it is behind a router", "10.99.0.3", true, ""},
	} {
		world(t, func(t *testing.T, m *machine) {
			m.begin(electing + router("a", "eth0", 51, vip))
			m.pass(200 * time.Millisecond)
			if c.alive {
				m.answer(c.peer, health.Result{Code: health.OK, Class: health.Good})
			}
			m.advertise("eth0", c.peer, 51, 200)
			m.pass(50 * time.Millisecond)
			if s := m.state("a"); s != "BACKUP" {
				t.Fatalf("%s: %s", c.name, s)
			}
			m.pass(3 * time.Second)
			one := of(m)
			if m.state("a") != "MASTER" || strings.Contains(m.reason("a"), "ARP") != (c.reason != "") || !strings.Contains(m.reason("a"), c.reason) {
				t.Errorf("%s: %s", c.name, m.reason("a"))
			}
			if (one != nil) != (c.reason != "") || one != nil && (one.Address != c.peer || one.AnswersARP != c.alive) {
				t.Errorf("%s: %+v", c.name, one)
			}
			m.advertise("eth0", c.peer, 51, 50)
			m.pass(300 * time.Millisecond)
			if of(m) != nil || strings.Contains(m.reason("a"), "ARP") {
				t.Errorf("%s, and is heard again: %s", c.name, m.reason("a"))
			}
		})
	}
	world(t, func(t *testing.T, m *machine) {
		m.begin(electing + router("a", "eth0", 51, vip))
		m.pass(200 * time.Millisecond)
		m.advertise("eth0", "10.77.0.3", 51, 200)
		m.pass(50 * time.Millisecond)
		m.advertise("eth0", "10.77.0.3", 51, 0)
		m.pass(3 * time.Second)
		if m.state("a") != "MASTER" || of(m) != nil {
			t.Errorf("after a resignation: %s", m.reason("a"))
		}
	})
}
