package director

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/problem"
)

// flappy returns an instance with delays of its interface for the cluster file.
func flappy(name, iface string, vrid int, vip, more string) string {
	return fmt.Sprintf("  - {name: %s, interface: %s, virtual_router_id: %d, advert_interval: 100ms, virtual_addresses: [%q], "+
		"down_timer_adverts: 21, interface_down_delay: 2s, interface_up_delay: 30s, deaf_delay: 0s%s}\n", name, iface, vrid, vip, more)
}

// cable takes out or plugs in the cable of eth0, and of what is on it.
func (m *machine) cable(on bool) {
	m.change(addr.Event{Kind: addr.LinkChanged}, func() {
		for n := range m.links {
			if l := &m.links[n]; l.Name == "eth0" || l.Parent == m.links[0].Index {
				l.Carrier = on
			}
		}
	})
}

// TestFlappingLinkOfEveryKind: the delays of an interface work for IPv6, with a virtual MAC address, and in a sync group: a short
// loss moves nothing, and each instance on the interface announces its VIPs again; a long one moves all members; then none of
// them preempts before interface_up_delay.
func TestFlappingLinkOfEveryKind(t *testing.T) {
	four, six := vip, "fd00::100"
	for _, tt := range []struct {
		name, file string
		announces  int    // after a loss
		peer       string // from which adverts come on eth0
	}{
		{"IPv6", electing + flappy("a", "eth0", 51, six, ""), 1, "fe80::3"},
		{"virtual MAC", electing + flappy("a", "eth0", 51, four, ", virtual_mac: true"), 1, "10.77.0.3"},
		{"virtual MAC, IPv6", electing + flappy("a", "eth0", 51, six, ", virtual_mac: true"), 1, "fe80::3"},
		{
			"group", electing + flappy("a", "eth0", 51, four, ", virtual_mac: true") + flappy("b", "eth0", 51, six, "") +
				router("c", "eth1", 53, "10.78.0.100") + "sync_groups: [{name: site, instances: [a, b, c]}]\n", 2, "10.77.0.3",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			world(t, func(t *testing.T, m *machine) {
				m.addresses = append(m.addresses, kernel.Address{Interface: "eth0", Prefix: netip.MustParsePrefix("fe80::2/64")})
				m.start(tt.file)
				all := func(state, reason string) {
					t.Helper()
					for _, i := range m.Status().Instances {
						if i.State != state || !strings.Contains(i.Reason, reason) {
							t.Errorf("%s is %s: %s; want %s: %s", i.Name, i.State, i.Reason, state, reason)
						}
					}
				}
				announced := func() int { return strings.Count(m.log.String(), "announcing its VIPs again") }
				for n := range 3 {
					m.cable(false)
					m.pass(1900 * time.Millisecond)
					all("MASTER", "")
					if p := m.Status().ProblemDetails; len(p) == 0 || p[0].Code != problem.CarrierLost {
						t.Errorf("without a carrier: %+v", p)
					}
					m.cable(true)
					m.pass(100 * time.Millisecond)
					all("MASTER", "")
					if got := announced(); got != (n+1)*tt.announces {
						t.Errorf("announced %d times after loss %d", got, n+1)
					}
				}
				if changes := m.changes(); len(changes) > 0 && strings.Contains(strings.Join(changes, " "), "ip addr") {
					t.Errorf("short losses: %q", changes)
				}
				m.pass(5 * time.Second)
				m.cable(false)
				m.pass(2100 * time.Millisecond)
				all("FAULT", "eth0 has no carrier")
				m.cable(true)
				iface := map[bool]string{false: "eth0", true: "eth0 (IPv6)"}[strings.Contains(tt.peer, ":")]
				other := func(duration time.Duration) {
					for range duration / (100 * time.Millisecond) {
						m.advertise(iface, tt.peer, 51, 50)
						m.pass(100 * time.Millisecond)
					}
				}
				other(28 * time.Second)
				all("BACKUP", "")
				if why := m.reason("a"); !strings.Contains(why, "interface_up_delay") {
					t.Errorf("before interface_up_delay: %s", why)
				}
				other(6 * time.Second)
				all("MASTER", "")
			})
		})
	}
}

// TestFlappingLinkGivesWay: a MASTER whose link is lost again and again for less than interface_down_delay resigns once, so that
// another director takes over, and preempts it only after interface_up_delay. If there is none, it takes the VIPs back at once,
// and keeps them.
func TestFlappingLinkGivesWay(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(unsteady)
		n := newNode(m)
		defer n.end()
		flap := func(times int) {
			for range times {
				m.carrier(false)
				m.pass(time.Second)
				m.carrier(true)
				m.pass(500 * time.Millisecond)
			}
		}
		expect := func(when string, want ...string) {
			t.Helper()
			got := slices.DeleteFunc(m.history(), func(s string) bool { return s == "open eth0" }) // at each return of the carrier
			if !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", when, got, want)
			}
		}
		flap(4)
		expect("four losses")
		flap(1)
		expect("the fifth", "resign on eth0", "ip addr del 10.77.0.100 dev eth0")
		if m.state("a") != "FAULT" || !strings.Contains(m.reason("a"), "loses its carrier again and again") {
			t.Errorf("the fifth: %s: %s", m.state("a"), m.reason("a"))
		}
		m.pass(2400 * time.Millisecond)
		expect("nobody takes over", "ip addr add 10.77.0.100 dev eth0")
		flap(5)
		if m.state("a") != "MASTER" || !strings.Contains(m.reason("a"), "degraded, and no other director serves: the interface eth0 loses its carrier") {
			t.Errorf("alone: %s: %s", m.state("a"), m.reason("a"))
		}
		expect("it goes on")

		n.hear("peer", 10, "10.77.0.3", 51, 50)
		m.pass(100 * time.Millisecond)
		if m.state("a") != "FAULT" {
			t.Errorf("another MASTER: %s: %s", m.state("a"), m.reason("a"))
		}
		m.pass(29 * time.Second)
		if m.state("a") != "BACKUP" || !strings.Contains(m.reason("a"), "again and again, and must keep it for 30s") {
			t.Errorf("before interface_up_delay: %s: %s", m.state("a"), m.reason("a"))
		}
		m.pass(5 * time.Second)
		if m.state("a") != "MASTER" {
			t.Errorf("after interface_up_delay: %s: %s", m.state("a"), m.reason("a"))
		}
	})
}

// TestNoPreemptionOnAFlappingLink: a director whose link lost its carrier a moment ago preempts nobody.
func TestNoPreemptionOnAFlappingLink(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		n := newNode(m)
		defer n.end()
		n.hear("peer", 10, "10.77.0.3", 51, 200)
		m.begin(unsteady)
		m.pass(5 * time.Second)
		m.carrier(false)
		m.pass(time.Second)
		m.carrier(true)
		n.hear("peer", 10, "10.77.0.3", 51, 50)
		m.pass(2900 * time.Millisecond)
		if m.state("a") != "BACKUP" || !strings.Contains(m.reason("a"), "lost its carrier a moment ago, and must keep it for 3s") {
			t.Errorf("%s: %s", m.state("a"), m.reason("a"))
		}
		m.pass(3 * time.Second)
		if m.state("a") != "MASTER" {
			t.Errorf("when it is steady: %s: %s", m.state("a"), m.reason("a"))
		}
	})
}
