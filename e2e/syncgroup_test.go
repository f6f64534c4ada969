package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// siteVIPs are those of the site: outside, inside, and inside over IPv6.
var siteVIPs = []string{"10.77.0.100", "10.78.0.100", "fd00:78::100"}

const siteFile = `version: 1
directors:
  - {name: lvs-master, address: 10.77.0.2}
  - {name: lvs-backup, address: 10.77.0.3}
vrrp_instances:
  - {name: outside, interface: eth0, virtual_router_id: 51, advert_interval: 200ms, virtual_addresses: [10.77.0.100], per_node: {lvs-master: {priority: 150}}}
  - {name: inside, interface: eth1, virtual_router_id: 52, advert_interval: 200ms, virtual_addresses: [10.78.0.100], per_node: {lvs-master: {priority: 150}}}
  - {name: inside6, interface: eth1, virtual_router_id: 52, advert_interval: 200ms, virtual_addresses: ["fd00:78::100"], per_node: {lvs-master: {priority: 150}}}
sync_groups:
  - {name: site, instances: [outside, inside, inside6]}
`

// siteConf is the keepalived.conf of a director of the site. The members of a group have the same name there, because
// keepalived has one name space for both families.
func siteConf(name string) string {
	priority := map[bool]int{true: 150, false: 100}[name == "lvs-master"]
	var b strings.Builder
	b.WriteString("vrrp_sync_group site {\n  group {\n    outside\n    inside\n    inside6\n  }\n}\n")
	for _, i := range []struct {
		name, device string
		vrid         int
		vip          string
	}{{"outside", "eth0", 51, siteVIPs[0] + "/32"}, {"inside", "eth1", 52, siteVIPs[1] + "/32"}, {"inside6", "eth1", 52, siteVIPs[2] + "/128"}} {
		fmt.Fprintf(&b, `vrrp_instance %s {
  state BACKUP
  interface %s
  virtual_router_id %d
  priority %d
  advert_int 0.2
  version 3
  virtual_ipaddress { %s }
}
`, i.name, i.device, i.vrid, priority, i.vip)
	}
	return b.String()
}

// newSite returns two directors, each on two LANs.
func newSite(t *testing.T) *cluster {
	c := &cluster{t: t, net: lab.New(t)}
	outside, inside := c.net.Bridge("outside"), c.net.Bridge("inside")
	c.file = c.net.File("cluster.yaml", siteFile)
	director := func(name string, host int) *node {
		h := c.net.Host(name, outside.At(fmt.Sprintf("10.77.0.%d/24", host)), inside.At(fmt.Sprintf("10.78.0.%d/24", host), fmt.Sprintf("fd00:78::%d/64", host)))
		return newNode(t, h, "lvs-director", c.file)
	}
	c.master, c.backup = director("lvs-master", 2), director("lvs-backup", 3)
	for _, n := range []*node{c.master, c.backup} { // keepalived becomes MASTER before, and cannot send then
		lab.Eventually(t, soon, func() error {
			if out := n.Run("ip", "-6", "addr", "show", "dev", "eth1", "tentative"); out != "" {
				return fmt.Errorf("%s still looks for machines with its addresses: %s", n.Name, out)
			}
			return nil
		})
	}
	return c
}

func (c *cluster) awaitSite(when string, holder, other *node) {
	c.t.Helper()
	lab.Eventually(c.t, soon, func() error {
		if err := holdsAll(siteVIPs, holder.Host, other.Host); err != nil {
			return fmt.Errorf("%s: %w", when, err)
		}
		return nil
	})
}

// TestSyncGroup: scenario 002-2: when one instance leaves MASTER the others follow, of both families. A LAN that is cut
// between the directors, while both have a carrier, moves nothing, and is reported.
//
// Proves docs/failover.md: "If one instance of a group leaves MASTER, all of them do."
// Proves docs/hooks.md: "Its hooks are in addition to those of the instances."
func TestSyncGroup(t *testing.T) {
	lab.Need(t)
	t.Run("002-2 one leaves MASTER, and the others follow", seed002Group)
}

func seed002Group(t *testing.T) {
	c := newSite(t)
	h := newHooks(c)
	if err := os.WriteFile(c.file, []byte(siteFile+fmt.Sprintf("notify: [{on: [any], command: [%s], arguments: true}]\n", h.script())), 0o644); err != nil {
		t.Fatal(err)
	}
	c.master.start()
	h.awaitGroup(c.master, "MASTER")
	c.backup.start()
	c.awaitSite("both started", c.master, c.backup)
	h.awaitGroup(c.backup, "BACKUP")

	c.master.Link("eth1").CarrierDown()
	c.awaitSite("the cable of the inside is out", c.backup, c.master)
	h.awaitGroup(c.master, "MASTER", "FAULT")
	h.awaitGroup(c.backup, "BACKUP", "MASTER")
	c.ctlPrints(c.master, 0, `(?m)^site +FAULT +outside,inside,inside6 +inside,inside6 +inside: FAULT: the interface eth1 has no carrier`, "status")
	c.master.Link("eth1").CarrierUp()
	c.awaitSite("the cable is back", c.master, c.backup)
	h.awaitGroup(c.master, "MASTER", "FAULT", "MASTER")
	h.awaitGroup(c.backup, "BACKUP", "MASTER", "BACKUP")

	masters := strings.Count(c.backup.daemon.Log(), "to=MASTER")
	c.master.Link("eth1").Drop(lab.BothWays, "proto 112 or ip6 proto 112")
	c.ctlEventually(c.backup, "sync_group_held_back")
	if got := strings.Count(c.backup.daemon.Log(), "to=MASTER"); got != masters {
		t.Errorf("the inside is cut: lvs-backup was MASTER %d times more", got-masters)
	}
	if err := holdsAll(siteVIPs, c.master.Host, c.backup.Host); err != nil {
		t.Errorf("the inside is cut: %v", err)
	}
	c.ctlPrints(c.backup, 0, `(?m)^site +BACKUP +outside,inside,inside6 +outside +outside: BACKUP: higher priority 150 from 10.77.0.2`, "status")
	c.master.daemon.Stop()
	c.awaitSite("the MASTER is stopped", c.backup, c.master)
	h.awaitGroup(c.backup, "BACKUP", "MASTER", "BACKUP", "MASTER")
}

// awaitGroup waits until the hooks of the site have run on a node for these states, once for each.
func (h hooks) awaitGroup(n *node, states ...string) {
	h.t.Helper()
	lab.Eventually(h.t, soon, func() error {
		var ran []string
		for _, line := range h.of(n) {
			if _, of, is := strings.Cut(line, " args GROUP site "); is && strings.HasPrefix(line, "begin ") {
				ran = append(ran, strings.Fields(of)[0])
			}
		}
		for i := len(ran) - 2; i >= 0 && n.Name == "lvs-master"; i-- {
			if ran[i] == "BACKUP" && ran[i+1] == "MASTER" { // on its way to MASTER, if the hook before ended in time
				ran = slices.Delete(ran, i, i+1)
			}
		}
		if !slices.Equal(ran, states) {
			return fmt.Errorf("the hooks of the group ran on %s for %v, want %v", n.Name, ran, states)
		}
		return nil
	})
}

func (c *cluster) ctlEventually(n *node, code string) {
	c.t.Helper()
	lab.Eventually(c.t, soon, func() error {
		for _, p := range n.status().ProblemDetails {
			if string(p.Code) == code {
				return nil
			}
		}
		return fmt.Errorf("%s does not report %s: %+v", n.Name, code, n.status().ProblemDetails)
	})
}

// TestSyncGroupInterop: scenario 002-2 with keepalived 2.2.7 and its vrrp_sync_group on either side.
//
// Proves docs/failover.md: "A director and a keepalived with a `vrrp_sync_group` of the same instances move together."
func TestSyncGroupInterop(t *testing.T) {
	lab.Need(t, lab.Keepalived)
	lab.Long(t)
	for _, foreign := range []string{"lvs-master", "lvs-backup"} {
		t.Run("keepalived is "+foreign, func(t *testing.T) {
			c := newSite(t)
			start := func(n *node) {
				if n.Name == foreign {
					n.daemon = lab.StartKeepalived(n.Host, siteConf(n.Name))
					return
				}
				n.start()
			}
			start(c.master)
			start(c.backup)
			c.awaitSite("both started", c.master, c.backup)
			for range 3 {
				c.master.Link("eth1").CarrierDown()
				c.awaitSite("the cable of the inside is out", c.backup, c.master)
				c.master.Link("eth1").CarrierUp()
				c.awaitSite("the cable is back", c.master, c.backup)
				c.master.Link("eth0").CarrierDown()
				c.awaitSite("the cable of the outside is out", c.backup, c.master)
				c.master.Link("eth0").CarrierUp()
				c.awaitSite("the cable is back", c.master, c.backup)
			}
			for _, way := range []lab.Direction{lab.BothWays, lab.ToHost, lab.FromHost} {
				c.master.Link("eth1").Drop(way, "proto 112 or ip6 proto 112")
				time.Sleep(2 * time.Second)
				if err := holdsAll(siteVIPs, c.master.Host, c.backup.Host); err != nil {
					t.Errorf("the inside is cut: %v", err)
				}
				c.master.Link("eth1").StopDropping()
			}
			c.master.daemon.Stop()
			c.awaitSite("the MASTER is stopped", c.backup, c.master)
			start(c.master)
			c.awaitSite("it is back", c.master, c.backup)
		})
	}
}
