package director

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

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
