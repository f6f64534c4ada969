package director

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
)

// TestBothFamilies: no code behind the cluster file assumes IPv4 addresses. The same
// virtual router ID and the same port work in both families at once, and neither receives the other's adverts.
func TestBothFamilies(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.addresses = append(m.addresses, kernel.Address{Interface: "eth0", Prefix: netip.MustParsePrefix("fe80::2/64")})
		o := m.options(electing + router("four", "eth0", 51, vip) + virtualServers + balancing("mysql", vip, "dr", one))
		six := o.Config.Instances[0]
		six.Name, six.VirtualAddresses = "six", []netip.Prefix{netip.MustParsePrefix("fd00::100/128")}
		service := o.Config.VirtualServers[0]
		service.Name, service.Address = "mysql6", netip.MustParseAddr("fd00::100")
		service.RealServers = append(service.RealServers[:0:0], service.RealServers...)
		service.RealServers[0].Address = netip.MustParseAddr("fd00::11")
		o.Config.Instances, o.Config.VirtualServers = append(o.Config.Instances, six), append(o.Config.VirtualServers, service)

		m.runs(o)
		m.pass(5 * time.Second)
		done := m.history() // checks run in any order
		slices.Sort(done)
		if diff := cmp.Diff([]string{
			"ip addr add 10.77.0.100 dev eth0", "ip addr add fd00::100 dev eth0",
			"ipvsadm -A -t 10.77.0.100:3306 -s rr", "ipvsadm -A -t [fd00::100]:3306 -s rr",
			"ipvsadm -a -t 10.77.0.100:3306 -r 10.77.0.11:3306 -g -w 1", "ipvsadm -a -t [fd00::100]:3306 -r [fd00::11]:3306 -g -w 1",
			"open eth0", "open eth0 (IPv6)", "sysctl net.ipv4.vs.expire_nodest_conn=1",
		}, done); diff != "" {
			t.Fatalf("the start (-want +got):\n%s", diff)
		}
		m.advertise("eth0 (IPv6)", "fe80::3", 51, 200)
		m.pass(100 * time.Millisecond)
		if m.state("four") != "MASTER" || m.state("six") != "BACKUP" {
			t.Errorf("after an advert in IPv6: four is %s, six is %s (%s)", m.state("four"), m.state("six"), m.reason("six"))
		}
		doc, err := json.Marshal(m.Status())
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			`"virtual_addresses":["10.77.0.100/32"]`, `"virtual_addresses":["fd00::100/128"]`, `"master":"fe80::3"`,
			`"interfaces":[{"name":"eth0","family":"IPv4","received":0},{"name":"eth0","family":"IPv6","received":1}]`,
			`"name":"mysql","address":"10.77.0.100","port":3306`, `"name":"mysql6","address":"fd00::100","port":3306`,
			`"name":"mysql1","address":"fd00::11","port":3306,"state":"up","code":"ok","weight":1`,
		} {
			if !strings.Contains(string(doc), want) {
				t.Errorf("status has no %s:\n%s", want, doc)
			}
		}
		if err := m.stop(); err != nil {
			t.Error(err)
		}
		if left := m.table(); left != "" {
			t.Errorf("left in the table:\n%s", left)
		}
	})
}

// The reason of a fault follows the state of a link-local address: absent, looked for on the link, another machine's, and
// good.
func TestLinkLocalAddress(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.begin(electing + router("six", "eth0", 51, `"fd00::100"`))
		becomes := func(a kernel.Address, state, reason string) {
			t.Helper()
			a.Interface, a.Prefix = "eth0", netip.MustParsePrefix("fe80::2/64")
			m.change(addr.Event{Kind: addr.AddressAdded, Interface: "eth0", Prefix: a.Prefix}, func() {
				m.drop("eth0", a.Prefix)
				m.addresses = append(m.addresses, a)
			})
			m.pass(2 * time.Second)
			if s, why := m.state("six"), m.reason("six"); s != state || !strings.Contains(why, reason) {
				t.Errorf("six is %s: %s; want %s: %s", s, why, state, reason)
			}
		}
		m.pass(time.Second)
		if why := m.reason("six"); !strings.Contains(why, "no link-local IPv6 address") {
			t.Errorf("without an address: %s", why)
		}
		becomes(kernel.Address{Tentative: true}, "FAULT", "cannot be used yet")
		becomes(kernel.Address{Duplicate: true}, "FAULT", "another machine has the link-local address fe80::2")
		becomes(kernel.Address{}, "MASTER", "")
		becomes(kernel.Address{Duplicate: true}, "FAULT", "another machine has the link-local address fe80::2")
	})
}
