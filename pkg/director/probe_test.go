package director

import (
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
)

// TestProbesComeFromTheInterfaceOfTheRoute, and not from the director's address in the file, nor from the VIP there.
func TestProbesComeFromTheInterfaceOfTheRoute(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		const far = "10.78.0.12"
		file := electing + router("a", "eth0", 51, vip) + router("b", "eth1", 52, "10.78.0.100") + virtualServers + balancing("mysql", vip, "dr", one, far)
		expect := func(when, server, want string) {
			t.Helper()
			m.pass(2 * time.Second)
			if got := m.probedFrom(server); got != want {
				t.Errorf("%s: the probes of %s come from %s, want %s", when, server, got, want)
			}
		}
		m.start(file)
		expect("at first", one, "10.77.0.2")
		expect("at first", far, "10.78.0.2")
		m.prefer("10.78.0.100", far)
		expect("the route has the VIP as its source", far, "10.78.0.2")
		m.reload(strings.Replace(file, "type: tcp", "type: tcp, source: director", 1))
		expect("source: director", far, "10.77.0.2")
		m.reload(strings.Replace(file, "type: tcp", "type: tcp, source: eth1", 1))
		expect("source: eth1", one, "10.78.0.2")
		m.reload(strings.Replace(file, "type: tcp", "type: tcp, source: eth7", 1))
		m.pass(5 * time.Second)
		r := m.Status().VirtualServers[0].RealServers[0]
		if r.State != "up" || r.Code != string(health.NoNetwork) || !strings.Contains(r.Reason, "tcp: dial 10.77.0.11:3306: source: this director has no interface eth7") {
			t.Errorf("source: eth7: %+v", r)
		}
	})
}

// TestProbesOfAnOwnVIP: a MASTER asks a VIP that it holds itself from an own address, as another director does.
func TestProbesOfAnOwnVIP(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.prefer(vip, vip) // as the kernel does for an address of this host
		m.mu.Lock()
		m.route = "lo"
		m.mu.Unlock()
		m.start(strings.Replace(electing+router("a", "eth0", 51, vip)+router("b", "eth1", 52, "10.78.0.100"), "[10.78.0.100]", "[10.78.0.100], tracks: [web]", 1) +
			"tracks: [{name: web, type: tcp, address: " + vip + ", port: 80}]\n")
		if got := m.probedFrom(vip); got != "10.77.0.2" || m.state("b") != "MASTER" {
			t.Errorf("the probes of the VIP come from %s, want 10.77.0.2; %s", got, m.reason("b"))
		}
	})
}

// TestRouteIsRemembered: the kernel is asked for the source of a target once in routeUses probes. A route that has
// changed in between takes no server out, and is noticed at once by a probe that fails.
func TestRouteIsRemembered(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(electing + router("a", "eth0", 51, vip) + virtualServers + strings.Replace(balancing("mysql", vip, "dr", one), "type: tcp", "type: tcp, fall: 1", 1))
		m.pass(2 * time.Second)
		table, before := m.table(), m.lookedUp()
		m.pass(64 * time.Second)
		if asked := m.lookedUp() - before; asked < 3 || asked > 5 {
			t.Errorf("%d look-ups of the route for 64 probes, want one in %d", asked, routeUses)
		}
		m.mu.Lock()
		m.strict = true
		m.mu.Unlock()
		m.prefer("10.78.0.2", one)
		m.pass(5 * time.Second)
		if got := m.probedFrom(one); got != "10.78.0.2" || m.table() != table || strings.Contains(m.log.String(), "up=false") {
			t.Errorf("after a change of the route: probes come from %s, and the table is\n%s", got, m.table())
		}
	})
}

// TestUnpluggedBackNetwork: probes get no answer because this director's own cable is unplugged, so the servers are
// kept, and the director is unfit.
func TestUnpluggedBackNetwork(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		const far = "10.78.0.12"
		m.start(electing + router("a", "eth0", 51, vip) + virtualServers + balancing("mysql", vip, "dr", far))
		table := m.table()
		m.answer(far, health.Result{Code: health.Unreachable, Class: health.Bad, Cause: "tcp: no route to host"})
		m.change(addr.Event{Kind: addr.LinkChanged}, func() { m.links[1].Carrier = false })
		m.pass(4 * time.Second)
		if m.table() != table {
			t.Errorf("the server was taken out:\n%s", m.table())
		}
		if got := m.log.String(); !strings.Contains(got, "MASTER to=FAULT") && !strings.Contains(got, "no way to the real servers of mysql") {
			t.Errorf("%s: %s", m.state("a"), m.reason("a"))
		}
		if r := m.Status().VirtualServers[0].RealServers[0]; !strings.Contains(r.Reason, "eth1 of this director has no carrier") {
			t.Errorf("%+v", r)
		}
		m.change(addr.Event{Kind: addr.LinkChanged}, func() { m.links[1].Carrier = true })
		m.pass(4 * time.Second)
		if m.table() == table {
			t.Errorf("the server that does not answer is still in the table:\n%s", m.table())
		}
	})
}
