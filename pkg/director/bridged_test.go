package director

import (
	"strings"
	"testing"
	"time"
)

// TestBackupWithoutACarrier: while interface_down_delay runs, a BACKUP takes nothing from a MASTER that it cannot hear, also if the
// adverts ended before the carrier did.
func TestBackupWithoutACarrier(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		n := newNode(m)
		defer func() { n.end() }()
		n.hear("peer", 100, "10.77.0.3", 51, 200)
		m.begin(strings.Replace(peerBFD, "peer_bfd: {interval: 100ms}", "interface_down_delay: 2s", 1))
		m.pass(8 * time.Second)
		n.silence("peer")
		m.pass(1800 * time.Millisecond)
		m.carrier(false)
		for range 9 {
			m.pass(210 * time.Millisecond)
			if m.state("a") != "BACKUP" || m.has("eth0", vip) {
				t.Fatalf("%s, VIP %v: %s", m.state("a"), m.has("eth0", vip), m.reason("a"))
			}
		}
		m.carrier(true)
		m.pass(100 * time.Millisecond)
		if m.state("a") != "BACKUP" || m.has("eth0", vip) {
			t.Errorf("carrier back: %s, VIP %v: %s", m.state("a"), m.has("eth0", vip), m.reason("a"))
		}
		m.pass(5 * time.Second)
		if m.state("a") != "MASTER" {
			t.Errorf("nobody is there: %s: %s", m.state("a"), m.reason("a"))
		}
		_ = m.stop()
	})
}

// TestExemptFromTracking: a rule that exempts the VIP from connection tracking stops the clients of snat_clients.
func TestExemptFromTracking(t *testing.T) {
	const rules = "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -d 10.77.0.100/32 -p tcp -j NOTRACK\nCOMMIT\n"
	for file, want := range map[string]string{natFile: "", sourceFile: "clients_blocked"} {
		world(t, func(t *testing.T, m *machine) {
			m.save(rules)
			m.set("net/ipv4/vs/conntrack", "1")
			m.start(file)
			m.pass(4 * time.Second)
			got := ""
			for _, p := range m.Status().ProblemDetails {
				if string(p.Code) == "clients_blocked" {
					got = string(p.Code)
				}
			}
			if got != want {
				t.Errorf("%q, want %q: %+v", got, want, m.Status().ProblemDetails)
			}
		})
	}
}
