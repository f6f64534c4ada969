package director

import (
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
)

// TestVIPOnAnotherInterface: a VIP with an interface of its own is added there, restored, and no stray address; while
// that interface is down the instance is in FAULT; a reload moves the VIP, and the end removes it.
func TestVIPOnAnotherInterface(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		file := func(options string) string {
			return electing + "  - {name: a, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [" + vip + ", " + also + "]" + options + "}\n"
		}
		m.begin(file(", address_options: [{address: " + also + ", interface: eth1, label: eth1:vip}]"))
		m.pass(5 * time.Second)
		m.expect("the start", "open eth0", "ip addr add 10.77.0.100 dev eth0", "ip addr add 10.77.0.101 dev eth1 label eth1:vip")
		if s := m.Status(); len(s.Problems) > 0 {
			t.Errorf("problems: %v", s.Problems)
		}
		m.deletes("eth1", also)
		m.pass(time.Second)
		m.expect("another process deletes it", "ip addr add 10.77.0.101 dev eth1 label eth1:vip")
		up := func(on bool) {
			m.change(addr.Event{Kind: addr.LinkChanged}, func() {
				m.links[1].Carrier = on
			})
		}
		up(false)
		m.pass(time.Second)
		if s := m.Status().Instances[0]; s.State != "FAULT" || !strings.Contains(s.Reason, "the interface eth1 has no carrier") {
			t.Errorf("%s: %s", s.State, s.Reason)
		}
		m.expect("without carrier", "resign on eth0", "ip addr del 10.77.0.100 dev eth0", "ip addr del 10.77.0.101 dev eth1")
		up(true)
		m.pass(5 * time.Second)
		m.expect("with carrier", "ip addr add 10.77.0.100 dev eth0", "ip addr add 10.77.0.101 dev eth1 label eth1:vip")
		m.file = file(", address_options: [{address: " + also + ", interface: eth9}]")
		if err := m.Reload(t.Context(), true); err == nil || !strings.Contains(err.Error(), "lvs-master has no interface eth9") {
			t.Errorf("a reload with an interface that does not exist: %v", err)
		}
		m.reload(file(""))
		m.expect("a reload moves it", "ip addr del 10.77.0.101 dev eth1", "ip addr add 10.77.0.101 dev eth0")
		if err := m.stop(); err != nil {
			t.Error(err)
		}
		m.expect("the end", "resign on eth0", "ip addr del 10.77.0.100 dev eth0", "ip addr del 10.77.0.101 dev eth0")
	})
}
