package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

const crossedFile = `version: 1
directors:
  - {name: lvs-master, address: 10.77.0.2}
  - {name: lvs-backup, address: 10.77.0.3}
startup_delay: 2s
vrrp_instances:
  - {name: a-outside, interface: eth0, virtual_router_id: 51, advert_interval: 200ms, virtual_addresses: [10.77.0.100], per_node: {lvs-master: {priority: 150}}}
  - {name: a-inside, interface: eth1, virtual_router_id: 51, advert_interval: 200ms, virtual_addresses: [10.78.0.100], per_node: {lvs-master: {priority: 150}}}
  - {name: b-outside, interface: eth0, virtual_router_id: 52, advert_interval: 200ms, virtual_addresses: [10.77.0.101], per_node: {lvs-backup: {priority: 150}}}
  - {name: b-inside, interface: eth1, virtual_router_id: 52, advert_interval: 200ms, virtual_addresses: [10.78.0.101], per_node: {lvs-backup: {priority: 150}}}
sync_groups:
  - {name: a, instances: [a-outside, a-inside]}
  - {name: b, instances: [b-outside, b-inside]}
`

// TestCrossedGroups: two sync groups with crossed priorities keep both directors busy. One takes the other's group over when that
// one's cable is out or it dies, and gives it back. None of it begins before startup_delay is over, although nobody holds
// the addresses.
//
// Proves docs/failover.md: "Two groups with opposite priorities, each with its own addresses, keep both directors busy."
// Proves docs/failover.md: "While the delay lasts it takes over nothing, *even if nobody holds the addresses*"
func TestCrossedGroups(t *testing.T) {
	lab.Need(t)
	lab.Long(t)
	c := newSite(t)
	c.net.File("cluster.yaml", crossedFile)
	a, b := []string{"10.77.0.100", "10.78.0.100"}, []string{"10.77.0.101", "10.78.0.101"}
	await := func(when string, ofA, ofB *node) {
		t.Helper()
		lab.Eventually(t, soon, func() error {
			for _, of := range []struct {
				addresses []string
				holder    *node
			}{{a, ofA}, {b, ofB}} {
				other := c.master
				if of.holder == c.master {
					other = c.backup
				}
				if err := holdsAll(of.addresses, of.holder.Host, other.Host); err != nil {
					return fmt.Errorf("%s: %w", when, err)
				}
			}
			return nil
		})
	}
	for _, n := range []*node{c.master, c.backup} {
		n.start()
	}
	for _, n := range []*node{c.master, c.backup} {
		listens := loggedAt(t, n.daemon.WaitLog("from=INIT to=BACKUP", soon))
		if took := loggedAt(t, n.daemon.WaitLog("to=MASTER", soon)).Sub(listens); took < 1800*time.Millisecond {
			t.Errorf("%s became MASTER %s after it started to listen, with a startup_delay of 2 s", n.Name, took)
		}
	}
	await("both started", c.master, c.backup)
	healthy(t, c.master, c.backup)

	c.master.Link("eth1").CarrierDown()
	await("the inside cable of lvs-master is out", c.backup, c.backup)
	c.master.Link("eth1").CarrierUp()
	await("it is back", c.master, c.backup)

	c.backup.daemon.Kill()
	await("lvs-backup is dead", c.master, c.master)
	c.backup.start()
	await("it has been started again", c.master, c.backup)
}
