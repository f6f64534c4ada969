package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

// fwmarkFile has the same mark in both families, and another one.
const fwmarkFile = `version: 1
directors: [{name: lvs-master, address: 10.77.0.2}]
vrrp_instances: [{name: web, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [10.77.0.100]}]
virtual_servers:
  - {name: web, fwmark: 5, marking: none, persistence: {timeout: 50s}, scheduler: rr, forward: dr, checks: &checks [{type: tcp, port: 443, interval: 400ms, timeout: 350ms, rise: 1}], real_servers: [
      {name: web1, address: 10.77.0.11, weight: 3}, {name: web2, address: 10.77.0.12}]}
  - {name: web6, fwmark: 5, marking: none, scheduler: rr, forward: dr, checks: *checks, real_servers: [{name: web1, address: "fd00:77::11"}]}
  - {name: mapped, fwmark: 6, marking: none, scheduler: wlc, forward: nat, checks: *checks, real_servers: [{name: web1, address: 10.77.0.11, port: 8080}]}
`

var fwmarkCommands = []string{
	"-A -f 5 -s rr -p 50", "-a -f 5 -r 10.77.0.11:0 -g -w 3", "-a -f 5 -r 10.77.0.12:0 -g",
	"-A -f 5 -6 -s rr", "-a -f 5 -6 -r [fd00:77::11]:0 -g",
	"-A -f 6 -s wlc", "-a -f 6 -r 10.77.0.11:8080 -m",
}

// TestFirewallMark: a client keeps its real server over all ports to which rules give the mark; a port without the mark is
// not served. The table is what ipvsadm makes of the same settings, and is found after a kill -9. A mark that no rule sets
// is CRITICAL, and one that a rule may set a warning.
//
// Proves docs/virtual-servers.md: "if none does, `status --check` is CRITICAL with `mark_not_set`"
// Proves docs/virtual-servers.md: "All packets with the mark are one virtual server, whatever their addresses, ports and protocols"
func TestFirewallMark(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c := newCluster(t, shape{})
	c.net.File("cluster.yaml", fwmarkFile)
	c.mysql1.Run("ip", "addr", "add", "fd00:77::11/64", "dev", "eth0", "nodad")
	c.master.Run("ip", "addr", "add", "fd00:77::2/64", "dev", "eth0", "nodad")
	for _, n := range []*node{c.mysql1, c.mysql2} {
		n.vipByHand()
		for _, port := range []string{"80", "443", "22"} {
			standin.Start(n.Host, "[::]:"+port, n.Name)
		}
	}
	c.master.Run("iptables", "-t", "mangle", "-A", "PREROUTING", "-d", vip, "-p", "tcp", "--dport", "81", "-j", "MARK", "--set-mark", "6")
	c.master.Run("ip6tables", "-t", "mangle", "-A", "PREROUTING", "-d", "fd00:77::100", "-p", "tcp", "-j", "MARK", "--set-mark", "5")
	c.master.Run("iptables", "-t", "mangle", "-A", "PREROUTING", "-d", vip, "-p", "tcp", "-m", "multiport", "--dports", "80,443", "-j", "MARK", "--set-mark", "5")
	c.startTwice(sameAs(c, fwmarkCommands))
	lab.Eventually(t, soon, func() error { return holdsAll([]string{vip}, c.master.Host) })
	if one, two, three := c.greeted(vip, "80"), c.greeted(vip, "443"), c.greeted(vip, "80"); one == "" || one != two || one != three {
		t.Errorf("the marked ports are answered by %q, %q and %q, want one server", one, two, three)
	}
	if out, err := c.client.Try("bash", "-c", "exec 3<>/dev/tcp/"+vip+"/22"); err == nil || !strings.Contains(out+err.Error(), "refused") {
		t.Errorf("a port without the mark: %v %s", err, out)
	}
	healthy(t, c.master)
	c.master.Run("iptables", "-t", "mangle", "-D", "PREROUTING", "1") // of mark 6
	lab.Eventually(t, soon, func() error {
		out, err := c.master.ctl("status", "--check")
		if lab.ExitCode(err) != 2 || !strings.Contains(out, "mapped: packets of clients do not get the firewall mark 6") {
			return fmt.Errorf("lvsctl status --check: %v %s, want exit code 2 and the mark", err, out)
		}
		return nil
	})
	c.master.Run("iptables", "-t", "mangle", "-I", "PREROUTING", "-d", vip, "-p", "tcp", "--dport", "81", "-j", "MARK", "--set-mark", "6/0xff")
	c.master.warns("mapped: cannot tell whether packets of clients get the firewall mark 6")
	c.ctlPrints(c.master, 0, `VIRTUAL SERVER web  tcp firewall mark 5 `, "status")
}

// vipByHand puts the VIP on lo of a real server, for forward: dr without the agent.
func (n *node) vipByHand() {
	n.Sysctl("net.ipv4.conf.all.arp_ignore", "1")
	n.Sysctl("net.ipv4.conf.all.arp_announce", "2")
	n.Run("ip", "addr", "add", vip+"/32", "dev", "lo")
}
