package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

// servers6File has a virtual server of IPv6 for each forwarding method, one in IPv4 tunnels, and one of IPv4 in IPv6 tunnels.
const servers6File = `version: 1
directors: [{name: lvs-master, address: 10.77.0.2}]
vrrp_instances:
  - {name: six, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: ["fd00:77::100", "fd00:77::101", "fd00:77::102", "fd00:77::103"]}
  - {name: four, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [10.77.0.104]}
virtual_servers:
  - {name: direct, address: "fd00:77::100", port: 3306, scheduler: rr, forward: dr, persistence: {timeout: 1s, netmask: 96}, checks: &checks [{type: tcp, interval: 400ms, timeout: 350ms, rise: 1}], real_servers: &six [
      {name: mysql1, address: "fd00:77::11", weight: 3}]}
  - {name: rewritten, address: "fd00:77::101", port: 80, scheduler: rr, forward: nat, checks: *checks, real_servers: [{name: mysql1, address: "fd00:77::11", port: 3306}]}
  - {name: six-in-six, address: "fd00:77::102", port: 3306, scheduler: rr, forward: tun, checks: *checks, real_servers: *six}
  - {name: six-in-four, address: "fd00:77::103", port: 3306, scheduler: rr, forward: tun, checks: *checks, real_servers: [{name: mysql2, address: 10.77.0.12}]}
  - {name: four-in-six, address: 10.77.0.104, port: 3306, scheduler: rr, forward: tun, checks: *checks, real_servers: *six}
`

// servers6Commands make the same table.
var servers6Commands = []string{
	"-A -t [fd00:77::100]:3306 -s rr -p 1 -M 96", "-a -t [fd00:77::100]:3306 -r [fd00:77::11]:3306 -g -w 3",
	"-A -t [fd00:77::101]:80 -s rr", "-a -t [fd00:77::101]:80 -r [fd00:77::11]:3306 -m",
	"-A -t [fd00:77::102]:3306 -s rr", "-a -t [fd00:77::102]:3306 -r [fd00:77::11]:3306 -i -w 3",
	"-A -t [fd00:77::103]:3306 -s rr", "-a -t [fd00:77::103]:3306 -r 10.77.0.12:3306 -i",
	"-A -t 10.77.0.104:3306 -s rr", "-a -t 10.77.0.104:3306 -r [fd00:77::11]:3306 -i -w 3",
}

// TestIPv6Servers: clients of IPv6 are served by every forwarding method, by IPv4 tunnels, and those of IPv4 by IPv6
// tunnels; the packets go in both directions as the method says, with the VIPs and tunnels of the agents. The table is what
// ipvsadm makes of the same settings, and is found after a kill -9.
//
// Proves docs/virtual-servers.md: "Addresses of virtual servers and real servers are of either family"
// Proves docs/agent.md: "An interface answers neighbour solicitations for its own addresses only, so IPv6 needs nothing that
// keeps the VIP quiet"
func TestIPv6Servers(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.NFTables) // see TestRedirects
	lab.Long(t)
	c := newCluster(t, shape{})
	c.net.File("cluster.yaml", servers6File)
	for address, h := range map[string]*lab.Host{"2": c.master.Host, "11": c.mysql1.Host, "12": c.mysql2.Host, "50": c.client, "51": c.client} {
		h.Run("ip", "addr", "add", "fd00:77::"+address+"/64", "dev", "eth0", "nodad")
	}
	c.serve6()
	c.startTwice(sameAs(c, servers6Commands))
	lab.Eventually(t, soon, func() error {
		return holdsAll([]string{"fd00:77::100", "fd00:77::101", "fd00:77::102", "fd00:77::103", "10.77.0.104"}, c.master.Host)
	})

	c.client.Run("ip", "-6", "neigh", "flush", "dev", "eth0")
	found := capture.Start(c.client, "eth0", "icmp6[0] = 136")
	client, one, two := tap(t, c.client, "eth0", "tcp"), tap(t, c.mysql1.Host, "eth0", "ip6"), tap(t, c.mysql2.Host, "eth0", "ip proto 41")
	for _, ask := range []struct{ vip, port, want string }{
		{"fd00:77::100", "3306", "mysql1"}, {"fd00:77::101", "80", "mysql1"}, {"fd00:77::102", "3306", "mysql1"}, {"fd00:77::103", "3306", "mysql2"}, {"10.77.0.104", "3306", "mysql1"},
	} {
		if got := c.greeted(ask.vip, ask.port); got != ask.want {
			t.Errorf("%s port %s is answered by %q, want %s", ask.vip, ask.port, got, ask.want)
		}
	}
	client.stop()
	one.stop()
	two.stop()
	director, server, other := c.master.mac(), c.mysql1.mac(), c.mysql2.mac()
	for _, vip := range []string{"100", "102"} {
		client.has("requests go to the director", "> "+director+`.* fd00:77::50\.\d+ > fd00:77::`+vip+`\.3306: Flags \[S\]`)
		client.has("answers come from the real server", server+` > .* fd00:77::`+vip+`\.3306 > fd00:77::50\.\d+: Flags \[S\.\]`)
		client.hasNot("answers do not pass the director", director+` > .* fd00:77::`+vip+`\.3306 > `)
	}
	one.has("DR changes only the MAC addresses", director+" > "+server+`.* fd00:77::50\.\d+ > fd00:77::100\.3306: Flags \[S\]`)
	one.has("NAT changes the destination", director+" > "+server+`.* fd00:77::51\.\d+ > fd00:77::11\.3306: Flags \[S\]`)
	client.has("NAT changes it back", director+` > .* fd00:77::101\.80 > fd00:77::51\.\d+: Flags \[S\.\]`)
	one.has("IPv6 in IPv6", `fd00:77::2 > fd00:77::11: .*fd00:77::50\.\d+ > fd00:77::102\.3306: Flags \[S\]`)
	one.has("IPv4 in IPv6", `fd00:77::2 > fd00:77::11: .*10\.77\.0\.50\.\d+ > 10\.77\.0\.104\.3306: Flags \[S\]`)
	two.has("IPv6 in IPv4", `10\.77\.0\.2 > 10\.77\.0\.12: .*fd00:77::50\.\d+ > fd00:77::103\.3306: Flags \[S\]`)
	client.has("answers to IPv6 in IPv4 come from the real server", other+` > .* fd00:77::103\.3306 > fd00:77::50\.\d+: Flags \[S\.\]`)
	client.has("answers to IPv4 in IPv6 come from the real server", server+` > .* 10\.77\.0\.104\.3306 > 10\.77\.0\.50\.\d+: Flags \[S\.\]`)
	answers := found.Stop()
	for _, vip := range []string{"100", "101", "102", "103"} {
		all := capture.Matching(answers, `tgt is fd00:77::`+vip)
		if len(all) == 0 {
			t.Errorf("nobody answers for fd00:77::%s", vip)
		}
		for _, p := range all {
			if !strings.HasPrefix(p.Text, director) {
				t.Errorf("a real server answers for a VIP: %s", p.Text)
			}
		}
	}
	healthy(t, c.master)
	c.repairs6()
}

// serve6 starts the agents of the real servers, one of which has no IPv6 on lo, and prepares what they do not: the device
// for tunnels in IPv6, and a client whose answers from NAT pass the director.
func (c *cluster) serve6() {
	c.t.Helper()
	for _, module := range []string{"ip6_tunnel", "sit"} {
		c.mysql1.Run("modprobe", module)
	}
	c.mysql1.Sysctl("net.ipv6.conf.lo.disable_ipv6", "1")
	c.mysql1.Run("ip", "link", "add", "ip6any0", "type", "ip6tnl", "mode", "any", "local", "fd00:77::11", "remote", "::")
	for _, to := range []string{"default", "fd00:77::51/128"} { // through a VIP, as the agent wants it
		c.mysql1.Run("ip", "-6", "route", "add", to, "via", "fd00:77::101")
	}
	for _, n := range []*node{c.mysql1, c.mysql2} {
		standin.Start(n.Host, "[::]:3306", n.Name)
		n.start()
		n.awaitCheck(0, "")
	}
	c.client.Run("ip", "-6", "route", "add", "fd00:77::101/128", "dev", "eth0", "src", "fd00:77::51")
	for _, vip := range []string{"100", "102", "103"} {
		c.client.Run("ip", "-6", "route", "add", "fd00:77::"+vip+"/128", "dev", "eth0", "src", "fd00:77::50")
	}
}

// repairs6: a VIP that is deleted on the real server is back, and after the stop of the agent the VIPs are gone and the
// sysctl is as it was.
func (c *cluster) repairs6() {
	c.t.Helper()
	for _, one := range []struct {
		n        *node
		vip, dev string
	}{{c.mysql1, "fd00:77::100/128", "lo"}, {c.mysql1, "fd00:77::102/128", "ip6any0"}, {c.mysql1, "10.77.0.104/32", "ip6any0"}, {c.mysql2, "fd00:77::103/128", "sit0"}} {
		one.n.Run("ip", "addr", "del", one.vip, "dev", one.dev)
		lab.Eventually(c.t, soon, func() error {
			if out := one.n.Run("ip", "addr", "show", "dev", one.dev); !strings.Contains(out, one.vip) {
				return fmt.Errorf("%s is not back: %s", one.vip, out)
			}
			return nil
		})
	}
	c.mysql1.daemon.Stop()
	c.mysql2.daemon.Stop()
	for _, n := range []*node{c.mysql1, c.mysql2} {
		if out := n.Run("ip", "addr"); strings.Contains(out, "fd00:77::10") || strings.Contains(out, "10.77.0.104") {
			c.t.Errorf("after the stop of the agent %s has: %s", n.Name, out)
		}
	}
	if got := c.mysql1.Run("sysctl", "-n", "net.ipv6.conf.lo.disable_ipv6"); strings.TrimSpace(got) != "1" {
		c.t.Errorf("disable_ipv6 of lo is %s", got)
	}
}
