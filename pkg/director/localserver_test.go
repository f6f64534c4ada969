package director

import (
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/override"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// TestLocalMissing: a director that is a real server without the VIP is a problem while the MASTER may send it connections: it
// hears one, and its real server is up, has a weight and is not drained.
func TestLocalMissing(t *testing.T) {
	const vip0 = "10.77.0.100"
	file := electing + router("a", "eth0", 51, vip0) + virtualServers + balancing("mysql", vip0, "dr", "10.77.0.2", "10.77.0.12")
	file = strings.Replace(file, "advert_interval: 100ms", "advert_interval: 100ms, startup_delay: 10s", 1)
	world(t, func(t *testing.T, m *machine) {
		n := newNode(m)
		defer func() { _ = m.stop(); n.end() }()
		m.begin(file)
		expect := func(when string, want bool) {
			t.Helper()
			m.pass(5 * time.Second)
			got := strings.Contains(strings.Join(m.Status().Problems, "\n"), "and no interface has it")
			if m.state("a") == "MASTER" || got != want {
				t.Errorf("%s: %s: reported: %t", when, m.state("a"), got)
			}
		}
		expect("no MASTER has been heard", false)
		n.hear("peer", 10, "10.77.0.3", 51, 200)
		expect("its real server is up", true)
		m.refuses("10.77.0.2", true)
		expect("its real server is down", false)
		m.refuses("10.77.0.2", false)
		expect("it is up again", true)
		if why := m.override(status.OverrideRequest{Target: "mysql/mysql1", Kind: override.Drain}); why != "" {
			t.Error(why)
		}
		expect("it is drained", false)
		if why := m.override(status.OverrideRequest{Target: "mysql/mysql1", Kind: override.Enable}); why != "" {
			t.Error(why)
		}
		expect("it is enabled again", true)
		m.reload(strings.Replace(file, "name: mysql1, address: 10.77.0.2}", "name: mysql1, address: 10.77.0.2, weight: 0}", 1))
		expect("its weight is 0", false)
	})
}
