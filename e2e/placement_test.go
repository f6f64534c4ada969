package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

const placementFile = `version: 1
directors:
  - {name: lvs-master, address: 10.77.0.2}
  - {name: lvs-backup, address: 10.77.0.3}
vrrp_instances:
  - name: gateway
    interface: eth0
    virtual_router_id: 51
    advert_interval: 400ms
    virtual_addresses: [10.77.0.100, 10.79.0.100]
    address_options:
      - {address: 10.77.0.100, label: eth0:vip, broadcast: 10.77.0.255, scope: host}
      - {address: 10.79.0.100, interface: eth1, label: eth1:vip}
    per_node: {lvs-master: {priority: 150}}
`

// TestVIPsOnAnotherInterface: a VIP on another interface than that of the adverts is announced there and answers there,
// with its label, and the other VIP with its scope and broadcast address. Without that interface the instance is in FAULT,
// and the other director takes both VIPs. A killed director's VIP ends with its lease on that interface, too.
//
// Proves docs/operations.md: "While that interface is missing, down or without carrier, the instance is in FAULT"
func TestVIPsOnAnotherInterface(t *testing.T) {
	lab.Need(t)
	lab.Long(t)
	n := lab.New(t)
	outer, inner := n.Bridge("outer"), n.Bridge("inner")
	file := n.File("cluster.yaml", placementFile)
	master := newNode(t, n.Host("lvs-master", outer.At("10.77.0.2/24"), inner.At("10.79.0.2/24")), "lvs-director", file)
	backup := newNode(t, n.Host("lvs-backup", outer.At("10.77.0.3/24"), inner.At("10.79.0.3/24")), "lvs-director", file)
	client := n.Host("client", outer.At("10.77.0.50/24"), inner.At("10.79.0.50/24"))
	c := &cluster{t: t, net: n, master: master, backup: backup}
	placed := func(on *node) {
		t.Helper()
		c.awaitHeld(on, "10.77.0.100", "10.79.0.100")
		lab.Eventually(t, soon, func() error {
			for device, want := range map[string]string{
				"eth0": "inet 10.77.0.100/32 brd 10.77.0.255 scope host dynamic eth0:vip", "eth1": "inet 10.79.0.100/32 scope global dynamic eth1:vip",
			} {
				if out := on.ip("-4 addr show dev " + device); !strings.Contains(out, want) {
					return fmt.Errorf("%s has\n%s\nwant %s", on.Name, out, want)
				}
			}
			for _, vip := range []string{"10.77.0.100", "10.79.0.100"} {
				if _, err := client.Try("ping", "-c", "1", "-W", "1", vip); err != nil {
					return fmt.Errorf("%s does not answer", vip)
				}
			}
			mac, neighbours := strings.TrimSpace(on.ReadFile("/sys/class/net/eth1/address")), client.Run("ip", "neigh", "show", "dev", "eth1")
			if !strings.Contains(neighbours, "10.79.0.100 lladdr "+mac) {
				return fmt.Errorf("the client's neighbours are\n%s\nwant 10.79.0.100 at %s", neighbours, mac)
			}
			return nil
		})
		healthy(t, on)
	}
	master.start()
	placed(master)
	backup.start()
	healthy(t, backup)

	master.ip("link set eth1 down")
	placed(backup)
	master.critical("the interface eth1 is down (ip link set eth1 up); it has virtual addresses of this instance")
	master.ip("link set eth1 up")
	placed(master)

	master.ip("addr del 10.79.0.100/32 dev eth1")
	placed(master)
	master.daemon.Kill()
	placed(backup)
	backup.daemon.Stop()
	c.awaitGone("10.77.0.100", "10.79.0.100")
}

// TestVIPOnDummy: a VIP on a dummy interface moves with the other one, through which clients reach it by a route. Of the status
// nothing is a problem. An instance whose adverts are on a dummy becomes MASTER on both directors, and the status of both says why.
//
// Proves docs/operations.md: "On a dummy interface no advert reaches the other directors, so that each becomes MASTER"
// Proves docs/operations.md: "That is for clients whose packets come by a route to the MASTER."
func TestVIPOnDummy(t *testing.T) {
	lab.Need(t)
	lab.Long(t)
	const onDummy = "192.0.2.100"
	n := lab.New(t)
	lan := n.Bridge("lan")
	text := strings.NewReplacer("10.79.0.100", onDummy, "eth1", "dummy0").Replace(placementFile)
	file := n.File("cluster.yaml", text)
	master := newNode(t, n.Host("lvs-master", lan.At("10.77.0.2/24")), "lvs-director", file)
	backup := newNode(t, n.Host("lvs-backup", lan.At("10.77.0.3/24")), "lvs-director", file)
	client := n.Host("client", lan.At("10.77.0.50/24"))
	client.Run("ip", "route", "add", onDummy, "via", "10.77.0.100")
	c := &cluster{t: t, net: n, master: master, backup: backup}
	for _, one := range []*node{master, backup} {
		one.ip("link add dummy0 type dummy")
		one.ip("link set dummy0 up")
	}
	serves := func(on *node) {
		t.Helper()
		c.awaitHeld(on, "10.77.0.100", onDummy)
		lab.Eventually(t, soon, func() error {
			_, err := client.Try("ping", "-c", "1", "-W", "1", onDummy)
			return err
		})
		if out := on.ip("-4 addr show dev dummy0"); !strings.Contains(out, "inet "+onDummy+"/32 scope global dynamic dummy0:vip") {
			t.Errorf("%s has\n%s", on.Name, out)
		}
		healthy(t, on)
	}
	master.start()
	serves(master)
	backup.start()
	healthy(t, backup)
	master.daemon.Kill()
	serves(backup)
	c.awaitHeld(backup, "10.77.0.100", onDummy) // the lease of the killed one has ended
	backup.daemon.Stop()
	c.awaitGone("10.77.0.100", onDummy)

	alone, _, _ := strings.Cut(strings.Replace(text, "interface: eth0", "interface: dummy0", 1), "    address_options")
	n.File("cluster.yaml", strings.Replace(alone, "10.77.0.100, ", "", 1))
	for k, one := range []*node{master, backup} {
		one.ip(fmt.Sprintf("addr add 192.0.2.%d/24 dev dummy0", k+2))
		one.start()
		one.critical("dummy0")
	}
}

// awaitGone waits until no director has the addresses.
func (c *cluster) awaitGone(addresses ...string) {
	c.t.Helper()
	for _, address := range addresses {
		lab.Eventually(c.t, soon, func() error {
			if holders := lab.Holders(address, c.master.Host, c.backup.Host); len(holders) > 0 {
				return fmt.Errorf("%s is on %v", address, holders)
			}
			return nil
		})
	}
}
