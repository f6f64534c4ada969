package e2e

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// kindOfInterface is an interface with an instance.
type kindOfInterface struct {
	name     string
	commands string // make it on a host, with the address 10.70.NUMBER.HOST; ip(8) runs them
	// tunnel: it has no ARP, so that no VIP is announced and adverts are sent by unicast.
	tunnel bool
}

// kindsOfInterface are the interfaces of TestKindsOfInterface; NUMBER is their position here, HOST is 2 for lvs-master and 3 for
// lvs-backup, OTHER the other one. tun0, tap0 and wg0 are made before the commands. The last two appear later.
var kindsOfInterface = []kindOfInterface{
	{name: "eth0", commands: "addr add ADDRESS dev eth0"},
	{name: "bond0", commands: "link add bond0 type bond mode active-backup miimon 100; link set eth1 down; link set eth2 down; link set eth1 master bond0; link set eth2 master bond0; link set bond0 up; addr add ADDRESS dev bond0"},
	{name: "eth0.10", commands: "link add link eth0 name eth0.10 type vlan id 10; link set eth0.10 up; addr add ADDRESS dev eth0.10"},
	{name: "br0", commands: "link add br0 type bridge; link set eth3 master br0; link set br0 up; addr add ADDRESS dev br0"},
	{name: "eth4", commands: "link add blue type vrf table 10; link set blue up; link set eth4 master blue; addr add ADDRESS dev eth4"},
	{name: "gt1", commands: "link add gt1 type gretap local 10.70.0.HOST remote 10.70.0.OTHER; link set gt1 up; addr add ADDRESS dev gt1"},
	{name: "tap0", commands: "addr add ADDRESS dev tap0"},
	{name: "gre1", tunnel: true, commands: "link add gre1 type gre local 10.70.0.HOST remote 10.70.0.OTHER ttl 64; link set gre1 up; addr add ADDRESS dev gre1"},
	{name: "wg0", tunnel: true, commands: "addr add ADDRESS dev wg0"},
	{name: "tun0", tunnel: true, commands: "addr add ADDRESS dev tun0"},
	{name: "wan0", commands: "link set eth5 down; link set eth5 name wan0; link set wan0 up; addr add ADDRESS dev wan0"},
	{name: "late0", commands: "link add link eth0 name late0 type vlan id 11; link set late0 up; addr add ADDRESS dev late0"},
}

// oneOfInterfaces is an instance on an interface.
type oneOfInterfaces struct {
	kind    kindOfInterface
	name    string
	vip     string
	virtual bool // it has a virtual MAC address
}

// late reports whether its interface appears after the start.
func (o oneOfInterfaces) late() bool { return o.kind.name == "wan0" || o.kind.name == "late0" }

// TestKindsOfInterface: elections and VIPs on a plain interface, a bond, a VLAN, a bridge, an interface in a VRF, tunnels with
// and without ARP, one that got its name later and one that appeared later, and with a virtual MAC address wherever there can be
// one; a lost port of the bond costs nothing. On each of them the VIP moves to the other director and back, and is held by one of
// them. Nothing is wrong about VIPs on a tunnel, which cannot be announced.
//
// Proves docs/operations.md: "An interface may be a bond, a VLAN, a bridge, a macvlan, a dummy, or in a VRF"
// Proves docs/operations.md: "Interfaces without ARP, such as tunnels of WireGuard, GRE, IPIP and tun, need"
func TestKindsOfInterface(t *testing.T) {
	lab.Need(t, lab.StockKernel)
	lab.Release(t)
	c := newInterfaces(t)
	late := len(kindsOfInterface) - 2
	for number := range late {
		c.make(number)
	}
	early := c.vipsOf(func(o oneOfInterfaces) bool { return !o.late() })
	c.master.start()
	c.backup.start()
	c.awaitHeld(c.master, early...)
	c.master.critical("the interface wan0 does not exist")
	c.make(late)
	c.make(late + 1)
	all := c.vipsOf(func(oneOfInterfaces) bool { return true })
	c.awaitHeld(c.master, all...)
	healthy(t, c.master, c.backup)
	c.answer()
	lab.Eventually(t, soon, func() error { return c.unannounced(c.master) })

	c.master.ip("link set eth1 down") // of the bond
	bond := c.vipsOf(func(o oneOfInterfaces) bool { return o.kind.name == "bond0" })
	lab.Consistently(t, 3*time.Second, func() error {
		for _, vip := range bond {
			if holders := lab.Holders(vip, c.master.Host, c.backup.Host); len(holders) != 1 || holders[0] != c.master.Name {
				return fmt.Errorf("with one port of the bond the VIP %s is on %v", vip, holders)
			}
		}
		return nil
	})
	c.master.daemon.Kill()
	c.awaitHeld(c.backup, all...)
	c.master.start()
	c.awaitHeld(c.master, all...)
	c.master.ip("link set wan0 down")
	c.master.ip("link set wan0 name wan9")
	c.awaitHeld(c.backup, c.vipsOf(func(o oneOfInterfaces) bool { return o.kind.name == "wan0" })...)
	c.master.critical("the interface wan0 does not exist")
	c.master.ip("link set wan9 name wan0")
	c.master.ip("link set wan0 up")
	c.awaitHeld(c.master, all...)
	healthy(t, c.master, c.backup)
	c.master.daemon.Stop()
	c.awaitHeld(c.backup, all...)
}

// interfaces are the hosts of TestKindsOfInterface.
type interfaces struct {
	*cluster
	instances []oneOfInterfaces // in the order of the cluster file
}

// newInterfaces makes them without addresses.
func newInterfaces(t *testing.T) *interfaces {
	t.Helper()
	n := lab.New(t)
	i := &interfaces{cluster: &cluster{t: t, net: n}}
	var file strings.Builder
	file.WriteString("version: 1\ndirectors:\n  - {name: lvs-master, address: 10.70.0.2}\n  - {name: lvs-backup, address: 10.70.0.3}\nvrrp_instances:\n")
	add := func(o oneOfInterfaces, id int, keys string) {
		i.instances = append(i.instances, o)
		fmt.Fprintf(&file, "  - {name: %s, interface: %s, virtual_router_id: %d, advert_interval: 400ms, virtual_addresses: [%s], per_node: {lvs-master: {priority: 150}}%s}\n",
			o.name, o.kind.name, id, o.vip, keys)
	}
	for number, kind := range kindsOfInterface {
		keys := ""
		if kind.tunnel {
			keys = fmt.Sprintf(", unicast_peers: [10.70.%d.2, 10.70.%d.3]", number, number)
		}
		add(oneOfInterfaces{kind, kind.name, fmt.Sprintf("10.70.%d.100", number), false}, 60+number, keys)
		if !kind.tunnel && kind.name != "tap0" {
			add(oneOfInterfaces{kind, kind.name + "-mac", fmt.Sprintf("10.70.%d.101", number), true}, 80+number, ", virtual_mac: true")
		}
	}
	path := n.File("cluster.yaml", file.String())
	lans := make([]*lab.Bridge, 6)
	for number := range lans {
		lans[number] = n.Bridge(fmt.Sprintf("lan%d", number))
	}
	lans[2] = lans[1] // of the bond
	var ports []lab.Attachment
	for _, lan := range lans {
		ports = append(ports, lan.At())
	}
	i.master = newNode(t, n.Host("lvs-master", ports...), "lvs-director", path)
	i.backup = newNode(t, n.Host("lvs-backup", ports...), "lvs-director", path)
	return i
}

// make makes an interface on both hosts.
func (i *interfaces) make(number int) {
	i.t.Helper()
	kind := kindsOfInterface[number]
	if kind.name == "tun0" || kind.name == "tap0" {
		lab.Tunnel(strings.TrimSuffix(kind.name, "0"), kind.name, i.master.Host, i.backup.Host)
	}
	for host, n := range map[int]*node{2: i.master, 3: i.backup} {
		if kind.name == "wg0" {
			address := func(host int) netip.Addr { return netip.AddrFrom4([4]byte{10, 70, 0, byte(host)}) }
			lab.WireGuard(n.Host, kind.name, address(host), address(5-host))
		}
		words := strings.NewReplacer("ADDRESS", fmt.Sprintf("10.70.%d.%d/24", number, host), "HOST", fmt.Sprint(host), "OTHER", fmt.Sprint(5-host))
		for _, command := range strings.Split(kind.commands, "; ") {
			n.ip(words.Replace(command))
		}
	}
}

// vipsOf returns the VIPs of some instances.
func (i *interfaces) vipsOf(wanted func(oneOfInterfaces) bool) (all []string) {
	for _, o := range i.instances {
		if wanted(o) {
			all = append(all, o.vip)
		}
	}
	return all
}

// unannounced returns an error unless the node says that it announces the VIPs of tunnels, and of those only, to nobody.
func (i *interfaces) unannounced(n *node) error {
	for number, one := range n.status().Instances {
		if kind := i.instances[number].kind; (len(one.UnannouncedOn) == 1 && one.UnannouncedOn[0] == kind.name) != kind.tunnel {
			return fmt.Errorf("instance %s: unannounced_on %v", one.Name, one.UnannouncedOn)
		}
	}
	return nil
}

// answer checks that each VIP answers the director that does not hold it.
func (i *interfaces) answer() {
	i.t.Helper()
	for _, o := range i.instances {
		from := []string{"ping", "-c", "1", "-W", "2", o.vip}
		if o.kind.name == "eth4" {
			from = append([]string{"ip", "vrf", "exec", "blue"}, from...)
		}
		lab.Eventually(i.t, soon, func() error {
			_, err := i.backup.Try(from...)
			return err
		})
	}
}
