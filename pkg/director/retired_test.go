package director

import (
	"slices"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
)

// A reload that moves all VIPs of an instance to another one of this MASTER neither resigns nor removes a VIP; the adverts
// of the old virtual router go on for a while, or until this director can no longer hold the VIPs.
func TestVIPMovesToAnotherInstance(t *testing.T) {
	const resigns, removes = "resign on eth0", "ip addr del 10.77.0.101 dev eth0"
	before := electing + router("a", "eth0", 51, vip) + router("b", "eth0", 52, also)
	after := electing + router("a", "eth0", 51, vip, also)
	for _, tt := range []struct {
		name string
		then func(m *machine)
		want []string
	}{
		{"a minute later", func(m *machine) { m.pass(time.Minute) }, nil},
		{"after retireFor", func(m *machine) { m.pass(retireFor + 2*time.Second) }, []string{resigns}},
		{"the heir is removed", func(m *machine) { m.reload(electing + router("c", "eth1", 53, "10.78.0.9")) }, []string{
			"open eth1", resigns, "ip addr del 10.77.0.100 dev eth0", removes, resigns, "ip addr add 10.78.0.9 dev eth1",
		}},
		{"the heir cannot serve", func(m *machine) {
			m.change(addr.Event{Kind: addr.LinkChanged}, func() { m.links[0].Carrier = false })
			m.pass(100 * time.Millisecond)
		}, []string{resigns, resigns, "ip addr del 10.77.0.100 dev eth0", removes}},
		{"the virtual router comes back", func(m *machine) {
			m.reload(electing + router("a", "eth0", 51, vip) + router("b", "eth0", 52, also))
		}, []string{resigns, removes, "ip addr add 10.77.0.101 dev eth0"}},
		{"the end", func(m *machine) { _ = m.stop() }, []string{resigns, resigns, "ip addr del 10.77.0.100 dev eth0", removes}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			world(t, func(t *testing.T, m *machine) {
				m.start(before)
				m.reload(after)
				m.expect("the reload")
				if !m.has("eth0", also) || m.state("b") != "none" {
					t.Errorf("the VIP is there: %t; the old instance is %s", m.has("eth0", also), m.state("b"))
				}
				tt.then(m)
				got, want := m.history(), slices.Clone(tt.want)
				slices.Sort(got)
				slices.Sort(want)
				if !slices.Equal(got, want) {
					t.Errorf("did %q, want %q", got, want)
				}
			})
		})
	}
}

// Without all VIPs, or as BACKUP, an instance that is removed ends at once.
func TestInstanceEndsAtOnce(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(electing + router("a", "eth0", 51, vip) + router("b", "eth0", 52, also, "10.77.0.102"))
		m.reload(electing + router("a", "eth0", 51, vip, also))
		got := m.history()
		slices.Sort(got)
		if want := []string{"ip addr del 10.77.0.102 dev eth0", "resign on eth0"}; !slices.Equal(got, want) {
			t.Errorf("did %q, want %q", got, want)
		}
	})
}
