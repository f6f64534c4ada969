package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// virtualKeys are keys of an instance on a macvlan that a BFD session watches.
const virtualKeys = "virtual_mac: true, peer_bfd: {interval: 50ms, multiplier: 3}, "

// TestVirtualMACForwards: IPVS serves VIPs on macvlans, by DR and by NAT with the inner VIP as the real servers' router, and a
// BFD session beside them makes the other director take over. Clients are answered by every real server before and after a
// take-over, and send to the virtual MAC address all the time.
//
// Proves docs/operations.md: "IPVS and BFD work with a virtual MAC address as without it."
func TestVirtualMACForwards(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Release(t)
	t.Run("DR", func(t *testing.T) {
		c := newCluster(t, shape{})
		c.edit("advert_interval: 1s", "advert_interval: 1s\n    "+strings.ReplaceAll(strings.TrimSuffix(virtualKeys, ", "), "true, ", "true\n    "))
		c.answering()
		c.startAll()
		client := tap(t, c.client, "eth0", "tcp port 3306 and tcp[tcpflags] & tcp-syn != 0")
		measured := measure.Start(c.client, vipPort, measure.Options{Every: 100 * time.Millisecond})
		both := func() {
			t.Helper()
			measured.WaitAnswered("mysql1", soon)
			measured.WaitAnswered("mysql2", soon)
		}
		both()
		c.awaitBFD(c.backup)
		c.master.daemon.Kill()
		c.backup.daemon.WaitLog(`from=BACKUP to=MASTER reason=.*according to BFD`, soon)
		c.awaitHolder(c.backup, soon)
		both()
		c.master.start()
		c.awaitHolder(c.master, soon)
		both()
		healthy(t, c.master, c.backup, c.mysql1, c.mysql2)
		if gap := measured.Stop().LongestGap(); gap.Duration > 2*time.Second { // without BFD more than 3 s
			t.Errorf("the client was without an answer for %s", gap)
		}
		client.stop()
		client.has("requests go to the virtual MAC address", `02:4c:0a:4d:00:32 > `+virtualMAC+`, .* 10.77.0.50.\d+ > 10.77.0.100.3306: Flags \[S\]`)
		client.hasNot("requests go to another one", `02:4c:0a:4d:00:32 > 02:.* > 10.77.0.100.3306: Flags \[S\]`)
		client.has("real servers answer directly", `02:4c:0a:4d:00:0b > 02:4c:0a:4d:00:32, .* 10.77.0.100.3306 > 10.77.0.50.\d+: Flags \[S\.\]`)
	})
	t.Run("NAT", func(t *testing.T) {
		c := newNATCluster(t)
		c.master.Network().File("cluster.yaml", strings.NewReplacer(
			"51, advert_interval: 100ms, ", "51, advert_interval: 100ms, "+virtualKeys, "52, advert_interval: 100ms, ", "52, advert_interval: 100ms, virtual_mac: true, ",
		).Replace(natFile))
		for _, n := range []*node{c.servers[0], c.servers[1], c.master, c.backup} {
			n.start()
		}
		c.awaitBoth(c.master)
		outside, inside := tap(t, c.client, "eth0", "tcp port 3306 and tcp[tcpflags] & tcp-syn != 0"), tap(t, c.servers[0].Host, "eth0", "tcp port 3307 and host 10.77.0.50 and tcp[tcpflags] & tcp-syn != 0")
		measured := measure.Start(c.client, vipPort, measure.Options{Every: 100 * time.Millisecond})
		both := func() {
			t.Helper()
			measured.WaitAnswered("mysql1", soon)
			measured.WaitAnswered("mysql2", soon)
		}
		both()
		healthy(t, c.master, c.backup, c.servers[0], c.servers[1])
		(&cluster{t: t}).awaitBFD(c.backup)
		c.master.daemon.Kill()
		c.awaitBoth(c.backup)
		both()
		c.master.start()
		c.awaitBoth(c.master)
		both()
		healthy(t, c.master, c.backup, c.servers[0], c.servers[1])
		measured.Stop()
		outside.stop()
		inside.stop()
		outside.has("requests go to the virtual MAC address", `02:4c:0a:4d:00:32 > `+virtualMAC+`, .* 10.77.0.50.\d+ > 10.77.0.100.3306: Flags \[S\]`)
		outside.has("answers come from the VIP", ` 10.77.0.100.3306 > 10.77.0.50.\d+: Flags \[S\.\]`)
		inside.has("answers go to the virtual MAC address inside", `02:4c:0a:4f:00:0b > 00:00:5e:00:01:34, .* 10.79.0.11.3307 > 10.77.0.50.\d+: Flags \[S\.\]`)
		inside.hasNot("answers go to another one", `02:4c:0a:4f:00:0b > 02:.* 10.79.0.11.3307 > 10.77.0.50.\d+: Flags \[S\.\]`)
	})
}

// TestVirtualMACReload: a live reload moves the VIP to a macvlan and back, to an ipvlan and back, makes adverts come from the
// interface below, and changes the virtual_router_id, while a client measures. After each change the other director takes over.
//
// Proves docs/operations.md: "A reload switches `virtual_mac`, `ipvlan` and `transmit_from_base` on and off."
func TestVirtualMACReload(t *testing.T) {
	lab.Need(t)
	lab.Release(t)
	p := newVirtualPair4(t, 100*time.Millisecond, "virtual_mac: false")
	p.master.start()
	p.requests = measure.Start(p.client, vipPort, measure.Options{Every: 20 * time.Millisecond})
	p.requests.WaitAnswered(p.master.Name, soon)
	p.backup.start()
	for _, change := range []struct{ from, to, device, mac, adverts string }{
		{"virtual_mac: false", "virtual_mac: true", "vrrp.51", virtualMAC, virtualMAC},
		{"virtual_mac: true", "virtual_mac: true\n    transmit_from_base: true", "vrrp.51", virtualMAC, ""},
		{"virtual_router_id: 51", "virtual_router_id: 52", "vrrp.52", "00:00:5e:00:01:34", ""},
		{"virtual_mac: true\n    transmit_from_base: true", "ipvlan: true", "vrrp.52", "", ""},
		{"ipvlan: true", "virtual_mac: false", "eth0", "", ""},
	} {
		t.Logf("from %s to %s", change.from, change.to)
		p.edit(change.from, change.to)
		if strings.HasPrefix(change.from, "virtual_router_id") {
			p.backup.daemon.Stop() // or else it becomes MASTER of the old one
		}
		p.changed(p.master, change.device, change.mac, change.adverts, func() { p.reloads(p.master) })
		if p.backup.daemon.Running() {
			p.reloads(p.backup)
		} else {
			p.backup.start()
		}
		lab.Eventually(t, soon, func() error { return p.backup.stateIs("BACKUP") })
		healthy(t, p.master, p.backup)
		p.changed(p.backup, change.device, change.mac, change.adverts, func() { p.master.daemon.Stop() })
		p.changed(p.master, change.device, change.mac, change.adverts, func() { p.master.start() })
	}
	if out := p.master.Run("ip", "-o", "link", "show"); strings.Contains(out, "vrrp") {
		t.Errorf("an interface is left: %s", out)
	}
	// The first announcement on an interface that has just been added may be lost in the kernel; the next one follows after a
	// second.
	if gap := p.requests.Stop().LongestGap(); gap.Duration > time.Second+takeoverAllowance+100*time.Millisecond {
		t.Errorf("the client was without an answer for %s", gap)
	}
}

// reloads makes a director read the cluster file again.
func (p *virtualPair) reloads(n *node) {
	p.t.Helper()
	if out, err := n.ctl("reload"); err != nil || out != "reloaded\n" {
		p.t.Fatalf("lvsctl reload of %s: %v %q", n.Name, err, out)
	}
}

// changed makes a change and waits until the node holds the VIP alone, on a device and nowhere else, the client knows a MAC
// address for it, and adverts come from one; "" is that of the node.
func (p *virtualPair) changed(n *node, device, mac, adverts string, change func()) {
	p.t.Helper()
	for _, one := range []*string{&mac, &adverts} {
		if *one == "" {
			*one = n.mac()
		}
	}
	change()
	lab.Eventually(p.t, soon, func() error {
		if holders := lab.Holders(p.vip, p.master.Host, p.backup.Host); len(holders) != 1 || holders[0] != n.Name {
			return fmt.Errorf("the VIP is on %v, want it on %s alone", holders, n.Name)
		}
		if out := n.Run("ip", "-o", "addr", "show", "to", p.vip); strings.Count(out, p.vip+"/32") != 1 || !strings.Contains(out, " "+device+" ") {
			return fmt.Errorf("on %s, want the VIP on %s alone: %s", n.Name, device, out)
		}
		if out := p.client.Run("ip", "neigh", "show", p.vip); !strings.Contains(out, " lladdr "+mac+" ") {
			return fmt.Errorf("the client's entry is %q, want %s", out, mac)
		}
		return nil
	})
	seen := capture.Start(p.client, "eth0", lab.VRRP)
	seen.Wait(adverts+" > ", soon)
	seen.Stop()
	p.requests.WaitAnswered(n.Name, soon)
}

// TestVirtualMACParent: the interface below the macvlan, here a VLAN, is deleted while its director is MASTER, and comes
// back. The other director takes over, and the client's entry stays.
//
// Proves docs/operations.md: "If the interface below it is deleted, the macvlan goes with it, and both come back together."
func TestVirtualMACParent(t *testing.T) {
	lab.Need(t)
	lab.Long(t)
	p := newVirtualPair4(t, 100*time.Millisecond, "virtual_mac: true")
	p.edit("interface: eth0", "interface: lan7")
	lan7 := func(h *lab.Host, address string) {
		h.Run("ip", "addr", "flush", "dev", "eth0")
		h.Run("ip", "link", "add", "link", "eth0", "name", "lan7", "type", "vlan", "id", "7")
		h.Run("ip", "addr", "add", address+"/24", "dev", "lan7")
		h.Run("ip", "link", "set", "lan7", "up")
	}
	lan7(p.client, "10.77.0.50")
	lan7(p.master.Host, "10.77.0.2")
	lan7(p.backup.Host, "10.77.0.3")
	p.master.start()
	p.watch()
	p.awaitOn(p.master)
	p.backup.start()
	healthy(t, p.master, p.backup)
	for range 2 {
		p.master.Run("ip", "link", "del", "lan7")
		p.awaitOn(p.backup)
		p.master.critical("the interface lan7 does not exist")
		lan7(p.master.Host, "10.77.0.2")
		p.awaitOn(p.master)
		healthy(t, p.master, p.backup)
	}
	p.master.Run("ip", "-batch", p.net.File("batch", "link del lan7\nlink add link eth0 name lan7 type vlan id 7\naddr add 10.77.0.2/24 dev lan7\nlink set lan7 up\n"))
	p.awaitOn(p.master)
	healthy(t, p.master, p.backup)
	p.judge(2 * time.Second)
}
