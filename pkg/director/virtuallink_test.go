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
	"github.com/lvs-director/lvs-director/pkg/kernel/maclink"
	"github.com/lvs-director/lvs-director/pkg/statefile"
)

// fakeLinks is a handle to the virtual interfaces of a fakeKernel.
type fakeLinks struct{ *fakeKernel }

func (k *fakeKernel) VirtualLinks() (VirtualLinks, error) { k.open(); return fakeLinks{k}, nil }

func (f fakeLinks) Close() error { return f.closed() }

func (f fakeLinks) Add(v kernel.VirtualLink) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	parent := slices.IndexFunc(f.links, func(l kernel.Link) bool { return l.Name == v.Parent })
	if slices.ContainsFunc(f.links, func(l kernel.Link) bool { return l.Name == v.Name }) {
		return maclink.ErrExists
	}
	if err := f.do("ip link add %s link %s type %s address %s", v.Name, v.Parent, v.Kind, v.HardwareAddr); err != nil {
		return err
	}
	f.added(v.Name, v.Kind, v.HardwareAddr, f.links[parent].Index)
	return nil
}

// added adds an interface and its sysctls. mu is held.
func (k *fakeKernel) added(name, kind, mac string, parent int) {
	index := 100 + len(k.done)
	k.links = append(k.links, kernel.Link{Index: index, Name: name, Kind: kind, Parent: parent, HardwareAddr: mac})
	for _, key := range []string{"ipv4/conf/%s/arp_ignore", "ipv4/conf/%s/rp_filter", "ipv6/conf/%s/disable_ipv6"} {
		k.sysctls["net/"+strings.ReplaceAll(strings.ReplaceAll(fmt.Sprintf(key, name), "net/", ""), ".", "/")] = "0"
	}
}

func (f fakeLinks) Remove(v kernel.VirtualLink, index int) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	there := func(l kernel.Link) bool { return l.Index == index && l.Name == v.Name && l.Kind == v.Kind }
	if !slices.ContainsFunc(f.links, there) {
		return false, nil
	}
	if err := f.do("ip link del %s", v.Name); err != nil {
		return false, err
	}
	f.links = slices.DeleteFunc(f.links, there)
	f.addresses = slices.DeleteFunc(f.addresses, func(a kernel.Address) bool { return a.Interface == v.Name })
	return true, nil
}

func (k *fakeKernel) SetUp(iface string) error { return k.setLink(iface, true) }

func (k *fakeKernel) SetDown(iface string) error { return k.setLink(iface, false) }

func (k *fakeKernel) setLink(iface string, up bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	at := slices.IndexFunc(k.links, func(l kernel.Link) bool { return l.Name == iface })
	if at < 0 || k.links[at].Up == up {
		return nil
	}
	word := map[bool]string{true: "up", false: "down"}[up]
	if err := k.do("ip link set %s %s", iface, word); err != nil {
		return err
	}
	k.links[at].Up, k.links[at].Carrier = up, up
	return nil
}

const (
	virtual = electing + "  - {name: a, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_mac: true, virtual_addresses: [" + vip + "]}\n"
	ours    = "ip link add vrrp.51 link eth0 type macvlan address 00:00:5e:00:01:33"
)

var virtualLink = kernel.VirtualLink{Name: "vrrp.51", Kind: kernel.Macvlan, Parent: "eth0", HardwareAddr: "00:00:5e:00:01:33"}

// changes returns the history without sysctls.
func (m *machine) changes() []string {
	return slices.DeleteFunc(m.history(), func(s string) bool { return strings.HasPrefix(s, "sysctl ") })
}

func (m *machine) expectChanges(when string, want ...string) {
	m.t.Helper()
	if got := m.changes(); !slices.Equal(got, want) {
		m.t.Errorf("%s:\n\t%s\nwant\n\t%s", when, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// TestVirtualMAC: the interface is added before the election, is up only as long as the VIP is on it, is restored after
// changes by another process, follows reloads, and is removed at the end; adverts have its MAC address. The sysctl of the
// interface below it is restored.
func TestVirtualMAC(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.sysctls["net/ipv4/conf/eth0/arp_ignore"] = "0"
		m.sysctls["net/ipv4/conf/eth0/arp_announce"] = "0"
		m.begin(virtual)
		m.pass(5 * time.Second)
		const up, down = "ip link set vrrp.51 up", "ip link set vrrp.51 down"
		const add, remove = "ip addr add 10.77.0.100 dev vrrp.51", "ip addr del 10.77.0.100 dev vrrp.51"
		m.expectChanges("the start", "open eth0", ours, up, add)
		for key, want := range map[string]string{"eth0/arp_ignore": "1", "vrrp/51/arp_ignore": "1", "vrrp/51/rp_filter": "2"} {
			if got := m.sysctls["net/ipv4/conf/"+key]; got != want {
				t.Errorf("%s is %s, want %s", key, got, want)
			}
		}
		s := m.Status()
		if i := s.Instances[0]; len(s.Problems) > 0 || i.VirtualInterface != "vrrp.51" || i.VirtualMAC != "00:00:5e:00:01:33" || i.Interface != "eth0" {
			t.Errorf("status: %+v", s)
		}
		at := func() int {
			return slices.IndexFunc(m.links, func(l kernel.Link) bool { return l.Name == "vrrp.51" })
		}
		m.change(addr.Event{Kind: addr.LinkChanged}, func() { m.links[at()].Up, m.links[at()].Carrier = false, false })
		m.pass(time.Second)
		m.expectChanges("set down by another process", up)
		m.change(addr.Event{Kind: addr.LinkRemoved, Interface: "vrrp.51"}, func() {
			m.links = slices.Delete(m.links, at(), at()+1)
			m.drop("vrrp.51", netip.MustParsePrefix(vip+"/32"))
		})
		m.pass(2 * time.Second)
		if got := m.changes(); !slices.Equal(got, []string{ours, up, add}) {
			t.Errorf("removed by another process: %q", got)
		}
		m.change(addr.Event{Kind: addr.LinkChanged}, func() { m.links[at()].HardwareAddr = "02:00:00:00:00:99" })
		m.pass(2 * time.Second)
		if got := m.changes(); !slices.Equal(got, []string{"ip link del vrrp.51", ours, up, add}) {
			t.Errorf("another MAC address: %q", got)
		}
		m.reload(electing + router("a", "eth0", 51, vip))
		m.pass(2 * time.Second)
		m.expectChanges("without a virtual MAC", remove, down, "ip addr add 10.77.0.100 dev eth0", "ip link del vrrp.51")
		if got := m.sysctls["net/ipv4/conf/eth0/arp_ignore"]; got != "0" {
			t.Errorf("arp_ignore is %s then", got)
		}
		m.reload(virtual)
		m.expectChanges("with it again", ours, "ip addr del 10.77.0.100 dev eth0", up, add)
		if err := m.stop(); err != nil {
			t.Error(err)
		}
		m.expectChanges("the end", "resign on eth0 from 00:00:5e:00:01:33", remove, down, "ip link del vrrp.51")
		if len(m.links) != 2 || m.opened != 0 || m.sysctls["net/ipv4/conf/eth0/arp_ignore"] != "0" {
			t.Errorf("at the end: %v, %d handles", m.links, m.opened)
		}
	})
}

// TestVirtualInterfaceOfAnotherProgram: an interface with that name is left alone, and the instance is in FAULT as long as
// it is there, or as long as the kernel refuses to add one.
func TestVirtualInterfaceOfAnotherProgram(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.mu.Lock()
		m.added("vrrp.51", "macvlan", "00:00:5e:00:01:33", 2)
		m.mu.Unlock()
		m.begin(virtual)
		m.pass(5 * time.Second)
		m.expectChanges("the start", "open eth0")
		faulty := func(why string) {
			t.Helper()
			if s := m.Status().Instances[0]; s.State != "FAULT" || !strings.Contains(s.Reason, why) {
				t.Errorf("%s: %s; want %q", s.State, s.Reason, why)
			}
		}
		faulty("another program has added an interface of this name")
		m.refuse("ip link add", maclink.ErrNoKind)
		m.change(addr.Event{Kind: addr.LinkRemoved}, func() { m.links = m.links[:2] })
		m.pass(5 * time.Second)
		faulty("the kernel has no interfaces of this kind")
		if l, err := statefile.Open(m.dir + "x"); err != nil || len(l.Links()) > 0 {
			t.Errorf("%v", err)
		}
		m.refuse("ip link add", nil)
		m.pass(5 * time.Second)
		if m.state("a") != "MASTER" || !m.has("vrrp.51", vip) {
			t.Errorf("%s when it can be added", m.state("a"))
		}
		if err := m.stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestLeftVirtualInterface: a start and `cleanup` remove the interface that a killed director has left, by its record, and
// only if it still is that one.
func TestLeftVirtualInterface(t *testing.T) {
	for name, remove := range map[string]func(m *machine) error{
		"start": func(m *machine) error {
			m.begin(electing + router("a", "eth0", 51, vip))
			m.pass(time.Second)
			return m.stop()
		},
		"cleanup":             func(m *machine) error { return Cleanup(m.options(virtual), false) },
		"cleanup --addresses": func(m *machine) error { return Cleanup(m.options(virtual), true) },
	} {
		for mac, want := range map[string]int{"00:00:5e:00:01:33": 2, "02:00:00:00:00:99": 3} {
			world(t, func(t *testing.T, m *machine) {
				m.mu.Lock()
				m.added("vrrp.51", "macvlan", mac, 2)
				m.mu.Unlock()
				l, err := statefile.Open(m.dir)
				if err != nil {
					t.Fatal(err)
				}
				_ = l.RecordLink(virtualLink)
				_ = l.Close()
				if err := remove(m); err != nil {
					t.Error(err)
				}
				if len(m.links) != want {
					t.Errorf("%s, MAC address %s: left %v", name, mac, m.links)
				}
				if l, err = statefile.Open(m.dir); err != nil || len(l.Links()) > 0 {
					t.Errorf("%s: recorded %v, %v", name, l.Links(), err)
				}
				_ = l.Close()
			})
		}
	}
}
