package director

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/statefile"
)

// leaves puts a VIP where a killed director left it, and into its state file.
func (m *machine) leaves(iface, vip string) {
	m.t.Helper()
	l, err := statefile.Open(m.dir)
	if err != nil {
		m.t.Fatal(err)
	}
	at := kernel.IfAddr{Interface: iface, Prefix: netip.MustParsePrefix(vip + "/32")}
	_ = l.RecordAddress(at)
	_ = l.Close()
	m.addresses = append(m.addresses, kernel.Address{Interface: iface, Prefix: at.Prefix, Valid: 3 * time.Second, Global: true})
}

// foreign adds or removes an address as another program does: without a lease.
func (k *fakeKernel) foreign(iface, prefix string, there bool) {
	p, e := netip.MustParsePrefix(prefix), addr.Event{Kind: addr.AddressAdded, Interface: iface, Prefix: netip.MustParsePrefix(prefix)}
	if !there {
		e.Kind, e.Asked = addr.AddressRemoved, true
	}
	k.change(e, func() {
		k.drop(iface, p)
		if there {
			k.addresses = append(k.addresses, kernel.Address{Interface: iface, Prefix: p, Global: true})
		}
	})
}

// A start beside another VRRP daemon that holds a VIP is refused, and removes nothing.
func TestStartBesideAnotherVRRPDaemon(t *testing.T) {
	file := electing + router("a", "eth0", 51, vip)
	for _, tt := range []struct {
		name, address string
		daemons       []string
		takeOver      bool
		refused       bool
		vrid          uint8 // that it advertises on eth0
	}{
		{"holds the VIP", vip + "/32", []string{"keepalived (pid 791)"}, false, true, 0},
		{"holds it with another prefix", vip + "/24", []string{"keepalived (pid 791)"}, false, true, 0},
		{"is to be taken over", vip + "/32", []string{"keepalived (pid 791)"}, true, false, 0},
		{"holds another VIP", "10.77.0.200/32", []string{"keepalived (pid 791)"}, false, false, 0},
		{"advertises our virtual router", "10.77.0.200/32", []string{"keepalived (pid 791)"}, false, true, 51},
		{"advertises it, and is to be taken over", "10.77.0.200/32", []string{"keepalived (pid 791)"}, true, false, 51},
		{"advertises another one", "10.77.0.200/32", []string{"keepalived (pid 791)"}, false, false, 52},
		{"has ended, and left the VIP", vip + "/32", nil, false, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			world(t, func(t *testing.T, m *machine) {
				m.daemons, m.advertised = tt.daemons, map[string][]uint8{"eth0": {tt.vrid}, "eth1": {51}}
				m.foreign("eth0", tt.address, true)
				o := m.options(file)
				o.TakeOver = tt.takeOver
				m.runs(o)
				m.pass(20 * time.Millisecond) // not yet MASTER
				if slices.ContainsFunc(m.history(), func(s string) bool { return strings.HasPrefix(s, "ip addr del") }) {
					t.Error("an address of another program was removed")
				}
				m.pass(listenAtMost)
				err := m.stop()
				why := "eth0 has the VIP " + tt.address
				if tt.vrid == 51 {
					why = "sends adverts of virtual router 51 on eth0"
				}
				if tt.refused != (err != nil) || tt.refused && !strings.HasPrefix(err.Error(), "keepalived (pid 791) runs in this network namespace, and "+why+": stop it first") {
					t.Errorf("%v; refused: %t", err, tt.refused)
				}
			})
		})
	}
}

// A VIP that another program has added is reported and never removed: as BACKUP, as MASTER, and at the end. One that the
// MASTER needs becomes its own.
func TestStrayVIP(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		stray := func(when string, want ...string) {
			t.Helper()
			m.pass(100 * time.Millisecond)
			var got []string
			for _, p := range m.Status().ProblemDetails {
				if p.Code != problem.StrayVIP || p.Severity != problem.Critical || !strings.HasSuffix(p.Text, "remove it: ip addr del "+strings.Split(p.Subject, " ")[1]+" dev "+strings.Split(p.Subject, " ")[0]) {
					t.Errorf("%s: %+v", when, p)
				}
				got = append(got, p.Subject)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: stray VIPs %q, want %q", when, got, want)
			}
		}
		m.links = append(m.links, kernel.Link{Index: 1, Name: "lo", Up: true, Carrier: true, Loopback: true})
		m.foreign("eth0", vip+"/32", true)
		m.foreign("lo", vip+"/32", true) // a real server, too
		m.begin(electing + router("a", "eth0", 51, vip))
		stray("as BACKUP", "eth0 "+vip+"/32")
		for range 10 {
			m.advertise("eth0", "10.77.0.3", 51, 200)
			m.pass(100 * time.Millisecond)
		}
		m.foreign("eth1", vip+"/32", true)
		m.foreign("eth0", vip+"/24", true)
		stray("in several places", "eth0 "+vip+"/32", "eth1 "+vip+"/32", "eth0 "+vip+"/24")
		m.pass(5 * time.Second)
		if m.state("a") != "MASTER" {
			t.Fatal(m.state("a"))
		}
		stray("as MASTER", "eth1 "+vip+"/32", "eth0 "+vip+"/24")
		m.foreign("eth1", vip+"/32", false)
		stray("one is removed", "eth0 "+vip+"/24")
		m.history()
		if err := m.stop(); err != nil {
			t.Error(err)
		}
		m.expect("the end", "resign on eth0", "ip addr del 10.77.0.100 dev eth0")
		if !m.fakeKernel.hasPrefix("eth0", vip+"/24") {
			t.Error("the address of another program was removed")
		}
	})
}

func (k *fakeKernel) hasPrefix(iface, prefix string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.ContainsFunc(k.addresses, func(a kernel.Address) bool { return a.Interface == iface && a.Prefix.String() == prefix })
}

// deletes removes a VIP as another process does. mu is held.
func (k *fakeKernel) deletes(iface, vip string) {
	p := netip.MustParsePrefix(vip + "/32")
	k.drop(iface, p)
	if k.events != nil {
		k.events(addr.Event{Kind: addr.AddressRemoved, Interface: iface, Prefix: p, Asked: true})
	}
}
