package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

// redirectFile has a virtual server of IPv6 whose clients are in the network of the real server.
const redirectFile = `version: 1
directors: [{name: lvs-master, address: 10.77.0.2}]
vrrp_instances:
  - {name: web, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: ["fd00:77::100"]}
virtual_servers:
  - {name: web, address: "fd00:77::100", port: 80, scheduler: rr, forward: nat, checks: [{type: tcp, interval: 400ms, timeout: 350ms, rise: 1}], real_servers: [{name: mysql1, address: "fd00:77::11", port: 8080}]}
`

// TestRedirects: a director between clients and a real server in one network sends the real server no ICMPv6 redirects, so that its
// answers go on passing the director. The rule comes back when another program removes it, and is gone after a stop.
//
// Proves docs/virtual-servers.md: "Therefore the directors drop the redirects that they would send to real servers of `forward: nat`"
func TestRedirects(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.NFTables)
	lab.Long(t)
	c := newCluster(t, shape{})
	c.net.File("cluster.yaml", redirectFile)
	for n, h := range []*lab.Host{c.master.Host, c.mysql1.Host, c.client} {
		h.Run("ip", "addr", "add", "fd00:77::"+[]string{"2", "11", "50"}[n]+"/64", "dev", "eth0", "nodad")
	}
	c.mysql1.Run("ip", "-6", "route", "add", "fd00:77::50/128", "via", "fd00:77::2")
	standin.Start(c.mysql1.Host, "[fd00:77::11]:8080", "mysql1")
	lab.Eventually(t, soon, func() error { // a redirect comes from a link-local address
		if out := c.master.Run("ip", "-6", "addr", "show", "dev", "eth0", "scope", "link"); !strings.Contains(out, "fe80") || strings.Contains(out, "tentative") {
			return fmt.Errorf("lvs-master has no link-local address yet: %s", out)
		}
		return nil
	})
	c.master.start()
	lab.Eventually(t, soon, func() error { return holdsAll([]string{"fd00:77::100"}, c.master.Host) })
	wire := tap(t, c.mysql1.Host, "eth0", "icmp6 or tcp port 8080")
	c.talks6()
	c.master.Run("nft", "flush", "ruleset")
	c.talks6()
	wire.stop()
	wire.has("answers go to the director", c.mysql1.mac()+" > "+c.master.mac()+`.* fd00:77::11\.8080 > fd00:77::50\.`)
	wire.hasNot("no answer goes to the client", c.mysql1.mac()+" > "+(&node{Host: c.client}).mac()+`.* fd00:77::11\.8080 > `)
	wire.hasNot("no redirect", "ICMP6, redirect")
	if out := c.mysql1.Run("ip", "-6", "route", "show", "cache"); strings.TrimSpace(out) != "" {
		t.Errorf("the real server has been told routes: %s", out)
	}
	healthy(t, c.master)
	c.master.daemon.Stop()
	if out := c.master.Run("nft", "list", "tables"); out != "" {
		t.Errorf("after the stop there is %s", out)
	}
}

// talks6 waits for the rule, and lets clients exchange data in several connections, until the director has dropped a
// redirect.
func (c *cluster) talks6() {
	c.t.Helper()
	rule := func() (string, error) {
		return c.master.Try("nft", "list", "table", "inet", "lvs_director_return_path")
	}
	lab.Eventually(c.t, soon, func() error {
		if out, err := rule(); err != nil || !strings.Contains(out, "ip6 daddr @unredirected icmpv6 type nd-redirect counter") || !strings.Contains(out, "fd00:77::11") {
			return fmt.Errorf("the rule is not there: %v %s", err, out)
		}
		return nil
	})
	lab.Eventually(c.t, soon, func() error { // the kernel sends few redirects in a second
		const talk = "exec 3<>/dev/tcp/fd00:77::100/80; for n in 1 2 3; do read -t 5 -u 3 name; echo $name; echo x >&3; done"
		if out, err := c.client.Try("timeout", "20", "bash", "-c", talk); err != nil || out != "mysql1\nmysql1\nmysql1\n" {
			c.t.Errorf("the virtual server answers %q: %v", out, err)
		}
		if out, err := rule(); err != nil || strings.Contains(out, "counter packets 0 ") {
			return fmt.Errorf("no redirect was dropped: %v %s", err, out)
		}
		return nil
	})
}
