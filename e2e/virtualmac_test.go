package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

const (
	virtualMAC  = "00:00:5e:00:01:33"
	virtualMAC6 = "00:00:5e:00:02:33"
)

// virtualPair is a pair whose VIP is answered by its holder. The client sends requests all the time.
type virtualPair struct {
	*cluster
	vip, mac string
	requests *measure.Client
	client6  bool
	arp      *lab.Daemon // the changes of the client's neighbour table
	packets  *capture.Capture
	stock    *node // a keepalived, which asks for the client's MAC address from the VIP with the host's own; nil for none
	plain    *node // a director without a virtual MAC address; nil for none
}

// macOf returns the MAC address of the VIP on a node.
func (p *virtualPair) macOf(n *node) string {
	if n == p.plain {
		return n.mac()
	}
	return p.mac
}

// expected reports whether the client may learn a MAC address for the VIP.
func (p *virtualPair) expected(mac string) bool {
	return mac == p.mac || p.stock != nil && mac == p.stock.mac() || p.plain != nil && mac == p.plain.mac()
}

// newVirtualPair4 makes a pair of IPv4; keys are keys of the instance. It starts no director.
func newVirtualPair4(t *testing.T, advert time.Duration, keys string) *virtualPair {
	t.Helper()
	c := &cluster{t: t, net: lab.New(t)}
	c.lan = c.net.Bridge("lan")
	c.file = c.net.File("cluster.yaml", fileHeader(3, advert.String(), true, keys))
	c.master, c.backup = c.node("lvs-master", "10.77.0.2/24", "lvs-director"), c.node("lvs-backup", "10.77.0.3/24", "lvs-director")
	c.client = c.net.Host("client", c.lan.At("10.77.0.50/24"))
	for _, n := range []*node{c.master, c.backup} {
		standin.Start(n.Host, ":3306", n.Name)
	}
	return &virtualPair{cluster: c, vip: vip, mac: virtualMAC}
}

func newVirtualPair6(t *testing.T, advert time.Duration, keys string) *virtualPair {
	t.Helper()
	return &virtualPair{cluster: newPair6(t, advert, keys), vip: vip6, mac: virtualMAC6, client6: true}
}

// watch begins to look at what the client sees.
func (p *virtualPair) watch() {
	p.t.Helper()
	p.packets = capture.Start(p.client, "eth0", "vrrp or arp or icmp6 or ip6 proto 112", "-v")
	p.arp = p.client.Start("ip-monitor", "ip", "-tshort", "-oneline", "monitor", "neigh")
	address := p.vip + ":3306"
	if p.client6 {
		address = "[" + p.vip + "]:3306"
	}
	p.requests = measure.Start(p.client, address, measure.Options{})
}

// awaitOn waits until a node holds the VIP alone, the switch sends its MAC address to it, and it answers.
func (p *virtualPair) awaitOn(n *node) {
	p.t.Helper()
	lab.Eventually(p.t, soon, func() error {
		if holders := lab.Holders(p.vip, p.master.Host, p.backup.Host); len(holders) != 1 || holders[0] != n.Name {
			return fmt.Errorf("the VIP is on %v, want it on %s alone", holders, n.Name)
		}
		if mac := p.macOf(n); !n.Link("eth0").Learned(mac) {
			return fmt.Errorf("the switch does not send %s to %s", mac, n.Name)
		}
		return nil
	})
	p.requests.WaitAnswered(n.Name, soon)
}

// judge checks what the client has seen: one MAC address of the VIP, or that of the plain director, and no longer gap than
// most.
func (p *virtualPair) judge(most time.Duration) {
	p.t.Helper()
	for _, line := range p.arp.LogLines() {
		_, after, has := strings.Cut(line.Text, " lladdr ")
		mac, _, _ := strings.Cut(after, " ")
		if strings.Contains(line.Text, " "+p.vip+" ") && has && !p.expected(mac) {
			p.t.Errorf("the client's entry has changed: %s", line.Text)
		}
	}
	if gap := p.requests.Stop().LongestGap(); gap.Duration > most {
		p.t.Errorf("the client was without an answer for %s", gap)
	}
	all := p.packets.Stop()
	adverts := capture.Matching(all, `VRRP|112`)
	wrong := slices.DeleteFunc(capture.Matching(adverts, `^02:`), func(a capture.Packet) bool { return p.plain != nil && strings.HasPrefix(a.Text, p.plain.mac()) })
	if len(adverts) == 0 || len(wrong) > 0 {
		p.t.Errorf("%d of %d adverts do not come from the virtual MAC address: %v", len(wrong), len(adverts), wrong)
	}
	claims := capture.Matching(all, `ARP.*(Announcement|Reply|Request who-has `+vip+` .*tell `+vip+`)|neighbor advertisement.*tgt is `+vip6)
	for _, claim := range claims {
		if mac, _, _ := strings.Cut(claim.Text, " > "); strings.Contains(claim.Text, p.vip) && !p.expected(mac) {
			p.t.Errorf("another MAC address has the VIP: %s", claim.Text)
		}
	}
	if len(claims) == 0 {
		p.t.Error("the VIP was never announced")
	}
}

// virtualCycles is how often each pair changes its roles four times; `make release-check` does it ten times.
func virtualCycles() int {
	if n := interopCycles(); n > 2 {
		return n
	}
	return 1
}

// turns lets both directors hold the VIP in turn, by stops, kills and starts. quiet is the interface of a director that must
// be down while it is BACKUP; "" if one of the two is a keepalived.
func (p *virtualPair) turns(master, backup func(n *node), quiet string) {
	p.t.Helper()
	p.turn(master, backup, quiet)
	for range virtualCycles() {
		master(p.master)
		p.awaitOn(p.master)
		p.quiet(p.backup, quiet)
		p.master.daemon.Kill()
		if quiet == "" { // a keepalived leaves its VIP
			p.master.Run("ip", "addr", "flush", "to", p.vip)
		}
		p.awaitOn(p.backup)
		master(p.master)
		p.awaitOn(p.master)
		p.master.daemon.Stop()
		p.awaitOn(p.backup)
	}
	master(p.master)
	p.awaitOn(p.master)
}

// turn starts both, begins to watch, and stops the MASTER.
func (p *virtualPair) turn(master, backup func(n *node), quiet string) {
	p.t.Helper()
	master(p.master)
	p.watch()
	p.awaitOn(p.master)
	backup(p.backup)
	p.quiet(p.backup, quiet)
	p.master.daemon.Stop()
	p.awaitOn(p.backup)
}

// quiet checks that the virtual interface of a director is down.
func (p *virtualPair) quiet(n *node, iface string) {
	p.t.Helper()
	if iface == "" {
		return
	}
	lab.Eventually(p.t, soon, func() error {
		if out, err := n.Try("ip", "-o", "link", "show", iface); err != nil || strings.Contains(out, ",UP") {
			return fmt.Errorf("%s of %s is not there and down: %v %s", iface, n.Name, err, out)
		}
		return nil
	})
}

// TestVirtualMAC: the VIP has the virtual router's MAC address, which moves with it, so that the client's entry never changes;
// adverts and announcements come from it, and the switch learns it at the holder. As BACKUP a director does not accept what is
// sent to it. Directors are stopped, killed and started again.
//
// Proves docs/operations.md: "clients' entry for the VIP stays the same at a takeover, and the MASTER's adverts and
// announcements make the switch send"
func TestVirtualMAC(t *testing.T) {
	lab.Need(t)
	long := lab.HasLongForm(t)
	const advert = 100 * time.Millisecond
	start := func(n *node) { n.start() }
	for _, one := range []struct {
		name, iface string
		pair        func(t *testing.T) *virtualPair
	}{
		{"IPv4", "vrrp.51", func(t *testing.T) *virtualPair { return newVirtualPair4(t, advert, "virtual_mac: true") }},
		{"IPv6", "vrrp6.51", func(t *testing.T) *virtualPair { return newVirtualPair6(t, advert, "virtual_mac: true") }},
	} {
		t.Run(one.name, func(t *testing.T) {
			if one.name == "IPv6" {
				lab.LongPart(t)
			}
			p := one.pair(t)
			if long {
				p.turns(start, start, one.iface)
			} else {
				p.turn(start, start, one.iface)
			}
			healthy(t, p.backup)
			p.judge(time.Second)
			p.master.daemon.Stop()
			p.backup.daemon.Stop()
			for _, n := range []*node{p.master, p.backup} {
				if out, err := n.Try("ip", "link", "show", one.iface); err == nil {
					t.Errorf("%s has left %s", n.Name, out)
				}
			}
		})
	}
}

// TestVirtualMACInterop: the same beside a keepalived with use_vmac, as either of the two, also if the director itself has no
// virtual MAC address, so that the client's entry changes.
//
// Proves docs/operations.md: "This is keepalived's `use_vmac`, and works in a pair with it, also if only one of them has a
// virtual MAC address."
func TestVirtualMACInterop(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.Keepalived)
	lab.Release(t)
	r := timing{3, 100 * time.Millisecond}
	start := func(n *node) { n.start() }
	four := func(n *node) { n.daemon = lab.StartKeepalived(n.Host, withVMAC(keepalivedConf(n.Name, r))) }
	six := func(n *node) { n.daemon = lab.StartKeepalived(n.Host, withVMAC(keepalivedConf6(n.Name, r))) }
	pair4 := func(t *testing.T) *virtualPair { return newVirtualPair4(t, r.advert, "virtual_mac: true") }
	pair6 := func(t *testing.T) *virtualPair { return newVirtualPair6(t, r.advert, "virtual_mac: true") }
	plain4 := func(t *testing.T) *virtualPair { return newVirtualPair4(t, r.advert, "") }
	plain6 := func(t *testing.T) *virtualPair { return newVirtualPair6(t, r.advert, "") }
	type variant struct {
		name           string
		pair           func(t *testing.T) *virtualPair
		master, backup func(n *node)
	}
	variants := []variant{
		{"IPv4/keepalived is the backup", pair4, start, four},
		{"IPv4/keepalived is the master", pair4, four, start},
		{"IPv6/keepalived is the backup", pair6, start, six},
		{"IPv6/keepalived is the master", pair6, six, start},
		{"IPv4, a plain director/keepalived is the backup", plain4, start, four},
		{"IPv4, a plain director/keepalived is the master", plain4, four, start},
	}
	if virtualCycles() > 1 {
		variants = append(
			variants,
			variant{"IPv6, a plain director/keepalived is the backup", plain6, start, six},
			variant{"IPv6, a plain director/keepalived is the master", plain6, six, start},
		)
	}
	for _, one := range variants {
		t.Run(one.name, func(t *testing.T) {
			p := one.pair(t)
			ours := p.backup
			if p.stock = p.master; strings.HasSuffix(one.name, "backup") {
				p.stock, ours = p.backup, p.master
			}
			if strings.Contains(one.name, "plain") {
				p.plain = ours
			}
			p.turns(one.master, one.backup, "")
			p.judge(2 * time.Second)
		})
	}
}

// withVMAC returns a keepalived.conf whose instance has a virtual MAC address, without virtual servers.
func withVMAC(conf string) string {
	conf, _, _ = strings.Cut(conf, "virtual_server ")
	return strings.Replace(conf, "  interface eth0\n", "  interface eth0\n  use_vmac\n", 1)
}

// TestVirtualMACStays: an interface of that name that another program has added is left alone, and the instance is in FAULT
// as long as it is there. The interface is restored when another process changes or removes it or the one below it. A
// killed director's interface has no VIP when the lease has ended, and costs the clients nothing; `cleanup` removes it.
//
// Proves docs/operations.md: "An interface of this name that another program has added is left alone: the instance is in
// FAULT until it is gone."
func TestVirtualMACStays(t *testing.T) {
	lab.Need(t)
	lab.Long(t)
	p := newVirtualPair4(t, 100*time.Millisecond, "virtual_mac: true")
	before := hostState(p.master.Host)
	p.master.ip("link add link eth0 name vrrp.51 address " + virtualMAC + " type macvlan mode private")
	p.backup.start()
	p.watch()
	p.awaitOn(p.backup)
	p.master.start()
	p.master.critical("another program has added an interface of this name")
	if out := p.master.ip("-d link show vrrp.51"); !strings.Contains(out, "mode private") {
		t.Errorf("it was changed: %s", out)
	}
	p.master.ip("link del vrrp.51")
	p.awaitOn(p.master)
	healthy(t, p.master, p.backup)

	for _, change := range []string{
		"link set vrrp.51 down", "link del vrrp.51", "link set vrrp.51 address 02:00:00:00:00:99", "addr flush dev vrrp.51",
	} {
		p.master.ip(change)
		lab.Eventually(t, soon, func() error {
			out := p.master.ip("addr show vrrp.51")
			if !strings.Contains(out, ",UP") || !strings.Contains(out, virtualMAC) || !strings.Contains(out, vipPrefix) {
				return fmt.Errorf("after ip %s: %s", change, out)
			}
			return nil
		})
		p.awaitOn(p.master)
	}
	p.judge(2 * time.Second)

	p.master.daemon.Kill()
	p.watch()
	p.awaitOn(p.backup)
	lab.Eventually(t, soon, func() error {
		if out := p.master.ip("addr show vrrp.51"); strings.Contains(out, vip) || !strings.Contains(out, ",UP") {
			return fmt.Errorf("the interface of the killed director: %s", out)
		}
		return nil
	})
	if out, err := p.master.Try(p.master.binary, "cleanup", "--config", p.file, "--state-dir", p.master.Path("state")); err != nil {
		t.Errorf("cleanup: %v %s", err, out)
	}
	assertRestored(t, p.master.Host, before)
	p.judge(5 * time.Second)
}
