package e2e

import (
	"fmt"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
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

// TestIPv6Servers: clients of IPv6 are served by every forwarding method, by IPv4 tunnels, and those of IPv4 by IPv6 tunnels; the
// packets go in both directions as the method says. The table is what ipvsadm makes of the same settings, and is found after a
// kill -9.
//
// Proves docs/virtual-servers.md: "Addresses of virtual servers and real servers are of either family"
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
	healthy(t, c.master)
}

// serve6 prepares the real servers as the page says, and a client whose answers from NAT pass the director.
func (c *cluster) serve6() {
	c.t.Helper()
	for _, module := range []string{"ip6_tunnel", "sit"} {
		c.mysql1.Run("modprobe", module)
	}
	c.mysql1.Run("ip", "addr", "add", "fd00:77::100/128", "dev", "lo", "nodad", "preferred_lft", "0")
	c.mysql1.Run("ip", "-6", "tunnel", "add", "t6", "mode", "any", "local", "fd00:77::11", "remote", "fd00:77::2")
	c.mysql2.Run("ip", "tunnel", "add", "t4", "mode", "sit", "local", "10.77.0.12", "remote", "10.77.0.2")
	for device, n := range map[string]*node{"t6": c.mysql1, "t4": c.mysql2} {
		n.Run("ip", "link", "set", device, "up")
		for _, name := range []string{"all", device} {
			n.Sysctl(fmt.Sprintf("net.ipv4.conf.%s.rp_filter", name), "0")
		}
		standin.Start(n.Host, "[::]:3306", n.Name)
	}
	c.mysql1.Run("ip", "addr", "add", "fd00:77::102/128", "dev", "t6", "nodad")
	c.mysql1.Run("ip", "addr", "add", "10.77.0.104/32", "dev", "lo")
	for _, name := range []string{"all", "eth0"} { // 10.77.0.104 stays out of ARP
		c.mysql1.Sysctl(fmt.Sprintf("net.ipv4.conf.%s.arp_ignore", name), "1")
		c.mysql1.Sysctl(fmt.Sprintf("net.ipv4.conf.%s.arp_announce", name), "2")
	}
	c.mysql2.Run("ip", "addr", "add", "fd00:77::103/128", "dev", "t4", "nodad")
	c.mysql1.Run("ip", "-6", "route", "add", "fd00:77::51/128", "via", "fd00:77::2")
	c.client.Run("ip", "-6", "route", "add", "fd00:77::101/128", "dev", "eth0", "src", "fd00:77::51")
	for _, vip := range []string{"100", "102", "103"} {
		c.client.Run("ip", "-6", "route", "add", "fd00:77::"+vip+"/128", "dev", "eth0", "src", "fd00:77::50")
	}
}
