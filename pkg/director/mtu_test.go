package director

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
)

// TestAdvertsOverMTU: an instance whose adverts do not fit into the MTU is in FAULT; a reload that would do that is refused.
func TestAdvertsOverMTU(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		many := func(n int) string {
			vips := make([]string, n)
			for i := range vips {
				vips[i] = fmt.Sprintf("10.77.1.%d", i+1)
			}
			return electing + router("a", "eth0", 51, vips...)
		}
		mtu := func(to int) {
			m.change(addr.Event{Kind: addr.Resync}, func() {
				for i := range m.links {
					m.links[i].MTU = to
				}
			})
			m.pass(3 * time.Second)
		}
		mtu(576)
		m.start(many(137))
		m.file = many(138)
		const want = "an advert with 138 addresses has 580 bytes, and the MTU of eth0 is 576, enough for 137 addresses: raise the MTU (ip link set eth0 mtu), or move some of them to excluded_addresses"
		if err := m.Reload(t.Context(), true); err == nil || !strings.Contains(err.Error(), "vrrp_instances[0].virtual_addresses: "+want) {
			t.Errorf("a reload: %v", err)
		}
		m.pass(3 * time.Second)
		if state := m.state("a"); state != "MASTER" {
			t.Errorf("%s after a reload that was refused", state)
		}
		mtu(1500)
		m.reload(m.file)
		mtu(576)
		if i := m.Status().Instances[0]; i.State != "FAULT" || !strings.Contains(i.Reason, want) {
			t.Errorf("%s: %s", i.State, i.Reason)
		}
		mtu(1500)
		m.pass(3 * time.Second)
		if state := m.state("a"); state != "MASTER" {
			t.Errorf("%s with the old MTU", state)
		}
	})
}
