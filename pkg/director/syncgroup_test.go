package director

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/problem/problemtest"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

var (
	twoRouters = electing + router("a", "eth0", 51, vip) + router("b", "eth0", 52, "10.77.0.101")
	together   = "sync_groups: [{name: site, instances: [a, b]}]\n"
)

// master52 delivers the adverts of a MASTER of the virtual router 52.
func (n *node) master52() {
	n.deliver("other", 10, 1, vrrp.Packet{
		Version: 3, VRID: 52, Priority: 200, Interval: 100 * time.Millisecond, Addresses: []netip.Addr{netip.MustParseAddr("10.77.0.101")},
	}, "10.77.0.3")
}

func syncGroupCases() []codesCase {
	return []codesCase{
		{On: "MASTER", File: twoRouters + together, Case: problemtest.Case[*node]{
			Code: problem.SyncGroupHeldBack, Subject: "site",
			Break: func(n *node) { n.master52() },
			Mend:  func(n *node) { n.silence("other") },
		}},
		{On: "MASTER", File: electing + router("a", "eth0", 51, vip), Case: problemtest.Case[*node]{
			Code: problem.SyncGroupSplit, Subject: "site",
			Break: func(n *node) { n.master52(); n.reload(twoRouters + together) },
			Mend:  func(n *node) { n.silence("other") },
		}},
	}
}

func (m *machine) groups() (all []string) {
	for _, g := range m.Status().SyncGroups {
		all = append(all, g.Name+" "+g.State)
	}
	return all
}

// TestSyncGroupsAreReloaded: instances that form a group, and that leave one, keep their states, and so do those of a group
// that is renamed or gets another member; a member that is new follows.
func TestSyncGroupsAreReloaded(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(twoRouters)
		quiet := func(when string, want ...string) {
			t.Helper()
			m.expect(when)
			if got := m.groups(); !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", when, got, want)
			}
		}
		m.reload(twoRouters + together)
		m.pass(2 * time.Second)
		quiet("together", "site MASTER")
		m.reload(twoRouters + "sync_groups: [{name: other, instances: [b, a]}]\n")
		m.pass(2 * time.Second)
		quiet("renamed", "other MASTER")

		m.reload(twoRouters + router("c", "eth0", 53, "10.77.0.102") + "sync_groups: [{name: other, instances: [c, b, a]}]\n")
		if got := m.groups(); !slices.Equal(got, []string{"other MASTER"}) && !slices.Equal(got, []string{"other MIXED"}) {
			t.Errorf("a new member: %q", got)
		}
		m.pass(2 * time.Second)
		if got := m.groups(); !slices.Equal(got, []string{"other MASTER"}) || m.state("c") != "MASTER" {
			t.Errorf("a new member: %q", got)
		}
		m.history()

		m.sockets["eth0"].in <- mustAdvert(t, 52, 200, "10.77.0.101")
		m.pass(50 * time.Millisecond)
		if got := m.groups(); !slices.Equal(got, []string{"other BACKUP"}) {
			t.Errorf("one member gives way: %q", got)
		}
		m.pass(2 * time.Second)
		m.history()
		m.reload(twoRouters + router("c", "eth0", 53, "10.77.0.102"))
		m.pass(2 * time.Second)
		quiet("apart")
	})
}

func mustAdvert(t *testing.T, vrid, priority uint8, vip string) vrrp.Datagram {
	source := netip.MustParseAddr("10.77.0.3")
	payload, err := vrrp.Packet{
		Version: 3, VRID: vrid, Priority: priority, Interval: 100 * time.Millisecond, Addresses: []netip.Addr{netip.MustParseAddr(vip)},
	}.Append(nil, source, vrrp.Group(kernel.IPv4), vrrp.PseudoHeaderChecksum)
	if err != nil {
		t.Fatal(err)
	}
	return vrrp.Datagram{Payload: payload, Source: source, Destination: vrrp.Group(kernel.IPv4), TTL: 255}
}

// TestStartupDelayIsOfTheStart: startup_delay delays the start of the daemon, and not instances that a reload adds.
func TestStartupDelayIsOfTheStart(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		delayed := func(file string) string {
			return file + "sync_groups: [{name: site, instances: [a, b], startup_delay: 10s}]\n"
		}
		m.begin(delayed(twoRouters))
		m.pass(9 * time.Second)
		if got := m.groups(); !slices.Equal(got, []string{"site BACKUP"}) {
			t.Errorf("after 9 s: %q", got)
		}
		m.pass(1500 * time.Millisecond)
		if got := m.groups(); !slices.Equal(got, []string{"site MASTER"}) {
			t.Errorf("after 10.5 s: %q", got)
		}
		m.reload(electing + router("a", "eth0", 51, vip) + router("b", "eth0", 54, "10.77.0.101") + "sync_groups: [{name: site, instances: [a, b], startup_delay: 10s}]\n")
		m.pass(2 * time.Second)
		if got := m.groups(); !slices.Equal(got, []string{"site MASTER"}) {
			t.Errorf("after the reload: %q", got)
		}
	})
}
