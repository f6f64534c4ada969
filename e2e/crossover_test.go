package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

const crossoverFile = `version: 1
directors:
  - {name: lvs-master, address: 10.78.0.2}
  - {name: lvs-backup, address: 10.78.0.3}
vrrp_instances:
  - name: mysql
    interface: eth1
    virtual_router_id: 51
    advert_interval: 200ms
    virtual_addresses: [10.77.0.100]
    address_options: [{address: 10.77.0.100, interface: eth0}]
    dont_track_primary: true
    per_node: {lvs-master: {priority: 150}}
`

// crossover is two directors whose adverts cross a cable between them, and whose clients are on another network.
type crossover struct {
	*cluster
	client *lab.Host
}

// cable cuts the cable, so that neither end has a carrier, or connects it.
func (c *crossover) cable(cut bool) {
	for _, n := range []*node{c.master, c.backup} {
		if l := n.Link("eth1"); cut {
			l.CarrierDown()
		} else {
			l.CarrierUp()
		}
	}
}

// serves waits until a director alone has the VIP, and the client is answered by it.
func (c *crossover) serves(n *node) {
	c.t.Helper()
	c.awaitHeld(n, vip)
	lab.Eventually(c.t, soon, func() error {
		_, err := c.client.Try("ping", "-c", "1", "-W", "1", vip)
		if at := c.client.Run("ip", "neigh", "show", vip); err != nil || !strings.Contains(at, n.mac()) {
			return fmt.Errorf("the client is not answered by %s: %v, %s", n.Name, err, at)
		}
		return nil
	})
}

// TestCrossoverCable: when a machine fails, the cable to it has no carrier. With dont_track_primary the other director takes the
// VIP nevertheless, also if it starts then, and says that it is alone. When the machine is back there is one MASTER. An interface
// that is set down is a FAULT. When only the cable fails, both hold the VIP, and both are CRITICAL.
//
// Proves docs/failover.md: "With `dont_track_primary: true` a lost carrier of `interface` is no fault"
// Proves docs/failover.md: "An interface that is set down, removed, or without an address for adverts is a fault nevertheless"
// Proves docs/failover.md: "If only the cable fails, both directors are MASTER"
func TestCrossoverCable(t *testing.T) {
	lab.Need(t)
	lab.Long(t)
	n := lab.New(t)
	outer, cable := n.Bridge("outer"), n.Bridge("cable")
	file := n.File("cluster.yaml", crossoverFile)
	c := &crossover{cluster: &cluster{
		t: t, net: n,
		master: newNode(t, n.Host("lvs-master", outer.At("10.77.0.2/24"), cable.At("10.78.0.2/24")), "lvs-director", file),
		backup: newNode(t, n.Host("lvs-backup", outer.At("10.77.0.3/24"), cable.At("10.78.0.3/24")), "lvs-director", file),
	}, client: n.Host("client", outer.At("10.77.0.50/24"))}
	const alone = "the interface eth1 has no carrier: check its cable and switch port; that is no fault (dont_track_primary)"
	c.master.start()
	c.serves(c.master)
	c.backup.start()
	healthy(t, c.master, c.backup)

	t.Log("the machine of the MASTER fails")
	c.cable(true)
	c.master.Link("eth0").CarrierDown()
	c.master.daemon.Kill()
	c.master.ip("addr flush to " + vip)
	c.serves(c.backup)
	c.backup.awaitCheck(2, alone)
	if log := c.backup.daemon.Log(); strings.Contains(log, "to=FAULT") {
		t.Errorf("a cable without a carrier is a fault:\n%s", log)
	}

	t.Log("the other one is started again")
	c.backup.daemon.Stop()
	c.awaitGone(vip)
	c.backup.start()
	c.serves(c.backup)
	c.backup.awaitCheck(2, alone)

	t.Log("the machine is back")
	c.master.Link("eth0").CarrierUp()
	c.cable(false)
	c.master.start()
	c.serves(c.master)
	healthy(t, c.master, c.backup)

	t.Log("an interface is set down")
	c.master.ip("link set eth1 down")
	c.serves(c.backup)
	c.master.critical("FAULT: the interface eth1 is down")
	c.master.ip("link set eth1 up")
	c.serves(c.master)
	healthy(t, c.master, c.backup)

	t.Log("the cable fails")
	c.cable(true)
	lab.Eventually(t, soon, func() error {
		if holders := lab.Holders(vip, c.master.Host, c.backup.Host); len(holders) != 2 {
			return fmt.Errorf("the VIP is on %v", holders)
		}
		return nil
	})
	c.master.awaitCheck(2, alone)
	c.backup.awaitCheck(2, alone)
	c.cable(false)
	c.serves(c.master)
	healthy(t, c.master, c.backup)
}
