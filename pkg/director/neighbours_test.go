package director

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// TestSocketOfAnAbsentInterface: an interface that was absent, or down, gets a new socket, even if it is back before it is
// looked at; so do all if events were lost.
func TestSocketOfAnAbsentInterface(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(electing + router("a", "eth0", 51, vip) + router("b", "eth1", 52, "10.78.0.100"))
		for _, c := range []struct {
			what string
			e    addr.Event
			want []string
		}{
			{"removed and back at once", addr.Event{Kind: addr.LinkRemoved, Interface: "eth0"}, []string{"open eth0"}},
			{"another interface", addr.Event{Kind: addr.LinkRemoved, Interface: "eth7"}, nil},
			{"changed", addr.Event{Kind: addr.LinkChanged, Interface: "eth0"}, nil},
			{"events lost", addr.Event{Kind: addr.Resync}, []string{"open eth0", "open eth1"}},
		} {
			m.change(c.e, func() {})
			m.pass(time.Second)
			got := m.history()
			slices.Sort(got)
			if !slices.Equal(got, c.want) {
				t.Errorf("%s: %q, want %q", c.what, got, c.want)
			}
		}
		n := newNode(m)
		defer n.end()
		n.carrier(false)
		m.pass(time.Second)
		m.history()
		n.carrier(true)
		m.pass(time.Second)
		if got := m.history(); len(got) == 0 || got[0] != "open eth0" {
			t.Errorf("the carrier is back: %q", got)
		}
	})
}

// TestIgnoreRefusedAdverts: a director waits for a router whose adverts it refuses, unless the file says that it ignores
// them; a reload changes that. Either way the problem is critical.
func TestIgnoreRefusedAdverts(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		n := newNode(m)
		defer n.end()
		waiting := electing + router("a", "eth0", 51, vip)
		ignoring := strings.Replace(waiting, "virtual_router_id", "ignore_refused_adverts: true, virtual_router_id", 1)
		n.deliver("refused", 10, 1, vrrp.Packet{
			Version: 2, VRID: 51, Priority: 50, Interval: time.Second, Addresses: []netip.Addr{netip.MustParseAddr(vip)},
		}, "10.77.0.3")
		m.begin(waiting)
		m.pass(20 * time.Second)
		expect := func(state, text string) {
			t.Helper()
			found := m.Status().ProblemDetails
			if m.state("a") != state || len(found) != 1 || found[0].Code != problem.AdvertsRefused || found[0].Severity != problem.Critical || !strings.HasSuffix(found[0].Text, text) {
				t.Errorf("%s, %+v", m.reason("a"), found)
			}
		}
		expect("BACKUP", "; this director does not take the virtual addresses while it sends them")
		m.reload(ignoring)
		expect("BACKUP", "; this director takes the virtual addresses all the same (ignore_refused_adverts)")
		m.pass(5 * time.Second)
		expect("MASTER", "; both machines hold the virtual addresses")
	})
}
