package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// kindsOfInterface are the interfaces of TestKindsOfInterface, in the order of the third number of their addresses, from
// 10.70.0.0/24 on, with the commands that make them on a host; %d is 2 for lvs-master and 3 for lvs-backup.
var kindsOfInterface = []struct{ name, commands string }{
	{"eth0", "addr add 10.70.0.%d/24 dev eth0"},
	{"bond0", "link add bond0 type bond mode active-backup miimon 100; link set eth1 down; link set eth2 down; link set eth1 master bond0; link set eth2 master bond0; link set bond0 up; addr add 10.70.1.%d/24 dev bond0"},
	{"eth0.10", "link add link eth0 name eth0.10 type vlan id 10; link set eth0.10 up; addr add 10.70.2.%d/24 dev eth0.10"},
	{"br0", "link add br0 type bridge; link set eth3 master br0; link set br0 up; addr add 10.70.3.%d/24 dev br0"},
	{"eth4", "link add blue type vrf table 10; link set blue up; link set eth4 master blue; addr add 10.70.4.%d/24 dev eth4"},
	{"wan0", "link set eth5 down; link set eth5 name wan0; link set wan0 up; addr add 10.70.5.%d/24 dev wan0"},
	{"late0", "link add link eth0 name late0 type macvlan mode bridge; link set late0 up; addr add 10.70.6.%d/24 dev late0"},
}

// TestKindsOfInterface: elections and VIPs on a plain interface, a bond, a VLAN, a bridge, an interface in a VRF, one that
// got its name later and one that appeared later; a lost port of the bond costs nothing. On each of them the VIP moves to
// the other director and back, and is held by one of them.
//
// Proves docs/operations.md: "An interface may be a bond, a VLAN, a bridge, a macvlan, a dummy, or in a VRF"
func TestKindsOfInterface(t *testing.T) {
	lab.Need(t, lab.StockKernel)
	lab.Long(t)
	for name, keys := range map[string]string{"own MAC address": "", "virtual MAC address": ", virtual_mac: true"} {
		t.Run(name, func(t *testing.T) { kindOfInterface(t, keys) })
	}
}

// kindOfInterface is TestKindsOfInterface with more keys of each instance.
func kindOfInterface(t *testing.T, keys string) {
	n := lab.New(t)
	var file strings.Builder
	file.WriteString("version: 1\ndirectors:\n  - {name: lvs-master, address: 10.70.0.2}\n  - {name: lvs-backup, address: 10.70.0.3}\nvrrp_instances:\n")
	var vips []string
	for number, kind := range kindsOfInterface {
		vips = append(vips, fmt.Sprintf("10.70.%d.100", number))
		fmt.Fprintf(&file, "  - {name: %s, interface: %s, virtual_router_id: %d, advert_interval: 400ms, virtual_addresses: [%s], per_node: {lvs-master: {priority: 150}}%s}\n",
			kind.name, kind.name, 60+number, vips[number], keys)
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
	makes := func(node *node, kind, number int) {
		commands := kindsOfInterface[kind].commands
		if keys != "" { // the kernel would add the second macvlan to the interface below
			commands = strings.ReplaceAll(commands, "type macvlan mode bridge", "type vlan id 11")
		}
		for _, command := range strings.Split(commands, "; ") {
			node.ip(strings.ReplaceAll(command, "%d", fmt.Sprint(number)))
		}
	}
	c := &cluster{t: t, net: n}
	c.master = newNode(t, n.Host("lvs-master", ports...), "lvs-director", path)
	c.backup = newNode(t, n.Host("lvs-backup", ports...), "lvs-director", path)
	early := len(kindsOfInterface) - 2
	for number, node := range []*node{c.master, c.backup} {
		for kind := range early {
			makes(node, kind, number+2)
		}
		node.start()
	}
	c.awaitHeld(c.master, vips[:early]...)
	c.master.critical("the interface wan0 does not exist")
	for number, node := range []*node{c.master, c.backup} {
		makes(node, early, number+2)
		makes(node, early+1, number+2)
	}
	c.awaitHeld(c.master, vips...)
	healthy(t, c.master, c.backup)
	c.answer(vips)

	c.master.ip("link set eth1 down") // of the bond
	lab.Consistently(t, 3*time.Second, func() error {
		if holders := lab.Holders(vips[1], c.master.Host, c.backup.Host); len(holders) != 1 || holders[0] != c.master.Name {
			return fmt.Errorf("with one port of the bond the VIP is on %v", holders)
		}
		return nil
	})
	c.master.daemon.Kill()
	c.awaitHeld(c.backup, vips...)
	c.master.start()
	c.awaitHeld(c.master, vips...)
	c.master.ip("link set wan0 down")
	c.master.ip("link set wan0 name wan9")
	c.awaitHeld(c.backup, vips[early])
	c.master.critical("the interface wan0 does not exist")
	c.master.ip("link set wan9 name wan0")
	c.master.ip("link set wan0 up")
	c.awaitHeld(c.master, vips...)
	healthy(t, c.master, c.backup)
	c.master.daemon.Stop()
	c.awaitHeld(c.backup, vips...)
}

// answer checks that each VIP answers the director that does not hold it.
func (c *cluster) answer(vips []string) {
	c.t.Helper()
	for number, address := range vips {
		from := []string{"ping", "-c", "1", "-W", "2", address}
		if kindsOfInterface[number].name == "eth4" {
			from = append([]string{"ip", "vrf", "exec", "blue"}, from...)
		}
		lab.Eventually(c.t, soon, func() error {
			_, err := c.backup.Try(from...)
			return err
		})
	}
}
