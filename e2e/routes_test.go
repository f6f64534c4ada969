package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// ip runs ip(8) on the node.
func (n *node) ip(arguments string) string {
	n.t.Helper()
	return n.Run(strings.Fields("ip " + arguments)...)
}

// routesOf returns the routes and rules that a director has added to a host, by ip(8), one per line.
func routesOf(n *node) string {
	n.t.Helper()
	var lines []string
	for _, list := range []string{"-4 route show table all", "-6 route show table all", "-4 rule", "-6 rule"} {
		for line := range strings.Lines(n.ip(list)) {
			if strings.Contains(line, "proto 112") {
				lines = append(lines, strings.Join(strings.Fields(line), " "))
			}
		}
	}
	return strings.Join(lines, "\n")
}

// routedBy waits until the node, and not the other one, has all routes and rules of the instance, and the remote client is
// answered.
func (c *cluster) routedBy(n, other *node, remote *lab.Host) {
	c.t.Helper()
	const all = "192.0.2.0/24 via 10.77.0.254 dev eth0 table 100 proto 112 src 10.77.0.100\n" +
		"fd00:99::/64 via fe80::1 dev eth0 proto 112 metric 50 pref medium\n" +
		"1000: from 10.77.0.100 lookup 100 proto 112"
	lab.Eventually(c.t, soon, func() error {
		if got := routesOf(n); got != all {
			return fmt.Errorf("%s has\n%s\nwant\n%s", n.Name, got, all)
		}
		if got := routesOf(other); got != "" {
			return fmt.Errorf("%s still has\n%s", other.Name, got)
		}
		if out, err := remote.Try("ping", "-c", "1", "-W", "1", vip); err != nil {
			return fmt.Errorf("the remote client is not answered: %v %s", err, out)
		}
		return nil
	})
}

// TestRoutesOfAnInstance: a client behind a router is answered only by the route and the rule of the MASTER. They are
// restored after a deletion, move with the VIP, and are removed at the end, by the next start and by cleanup after a kill.
// A route of another program in their place stays, is reported, and does not cost the VIP.
//
// Proves docs/operations.md: "A route or rule that cannot be added is a problem (`routing_wrong`) and no reason to give up
// the VIPs"
func TestRoutesOfAnInstance(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c := newCluster(t, shape{advert: relaxedAdvert.String(), instance: `routes: [{destination: 192.0.2.0/24, via: 10.77.0.254, source: 10.77.0.100, table: 100},
      {destination: "fd00:99::/64", via: "fe80::1", interface: eth0, metric: 50}]
    rules: [{priority: 1000, from: 10.77.0.100, table: 100}]`})
	far := c.net.Bridge("far")
	router := c.net.Host("router", c.lan.At("10.77.0.254/24"), far.At("192.0.2.254/24"))
	router.Sysctl("net.ipv4.ip_forward", "1")
	remote := c.net.Host("remote", far.At("192.0.2.50/24"))
	remote.Run("ip", "route", "add", "default", "via", "192.0.2.254")
	c.answering()
	c.startAll()
	c.routedBy(c.master, c.backup, remote)

	c.master.ip("route del 192.0.2.0/24 table 100")
	c.master.ip("rule del priority 1000")
	c.routedBy(c.master, c.backup, remote)
	c.master.daemon.WaitLog("a route or rule was deleted or changed by another process; restored", soon)

	const foreign = "192.0.2.0/24 via 10.77.0.253 dev eth0 table 100"
	c.backup.ip("route add " + foreign)
	c.master.daemon.Kill()
	if !strings.Contains(routesOf(c.master), "192.0.2.0/24") {
		t.Error("a killed director has left no route, so that the next start has nothing to remove")
	}
	c.awaitHolder(c.backup, soon)
	c.backup.critical("192.0.2.0/24 via 10.77.0.254 table 100 src 10.77.0.100: another program has added it")
	if got := c.backup.ip("route show table 100"); strings.TrimSpace(got) != "192.0.2.0/24 via 10.77.0.253 dev eth0" {
		t.Errorf("the route of another program has become %q", got)
	}
	c.steady(c.backup, timing{3, relaxedAdvert})
	c.master.Run(c.master.binary, "cleanup", "--addresses", "--config", c.file, "--state-dir", c.master.Path("state"))
	if got := routesOf(c.master); got != "" {
		t.Errorf("after cleanup --addresses lvs-master has\n%s", got)
	}
	c.backup.ip("route del " + foreign)
	c.routedBy(c.backup, c.master, remote)
	healthy(t, c.backup)

	c.master.start()
	c.awaitHolder(c.master, soon)
	c.routedBy(c.master, c.backup, remote)
	c.master.daemon.Kill()
	c.awaitHolder(c.backup, soon)
	c.master.start()
	c.awaitHolder(c.master, soon)
	c.master.daemon.WaitLog("removed a leftover route or rule", soon)
	c.routedBy(c.master, c.backup, remote)
	c.master.daemon.Stop()
	c.routedBy(c.backup, c.master, remote)
}
