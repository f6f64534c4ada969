package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

// markingFile has one mark for several ports and protocols, and the same mark for IPv6.
const markingFile = `version: 1
directors: [{name: lvs-master, address: 10.77.0.2}, {name: lvs-backup, address: 10.77.0.3}]
vrrp_instances:
  - {name: web, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [10.77.0.100, 10.77.0.101], excluded_addresses: ["fd00:77::100"], per_node: {lvs-master: {priority: 150}}}
virtual_servers:
  - {name: web, fwmark: 5, marking: nftables, addresses: [10.77.0.100, 10.77.0.101], packets: [{ports: [80, 443]}, {protocol: udp, ports: 53}], persistence: {timeout: 50s}, scheduler: rr, forward: dr, checks: &checks [{type: tcp, port: 443, interval: 400ms, timeout: 350ms, rise: 1}], real_servers: [
      {name: mysql1, address: 10.77.0.11}, {name: mysql2, address: 10.77.0.12}]}
  - {name: web6, fwmark: 5, marking: nftables, address: "fd00:77::100", packets: [{ports: 80}], scheduler: rr, forward: nat, checks: *checks, real_servers: [{name: mysql1, address: "fd00:77::11", port: 8080}]}
`

var markingCommands = []string{
	"-A -f 5 -s rr -p 50", "-a -f 5 -r 10.77.0.11:0 -g", "-a -f 5 -r 10.77.0.12:0 -g",
	"-A -f 5 -6 -s rr", "-a -f 5 -6 -r [fd00:77::11]:8080 -m",
}

// markingRules are what nft(8) says of the rules for markingFile, without the sets.
const markingRules = `		ip daddr . meta l4proto . th dport @mark_5_ipv4 meta mark set 0x00000005
		ip6 daddr . meta l4proto . th dport @mark_5_ipv6 meta mark set 0x00000005
`

// awaitMarks waits until a director has its marking rules, or has none.
func (n *node) awaitMarks(want bool) {
	n.t.Helper()
	lab.Eventually(n.t, soon, func() error {
		out, err := n.Try("nft", "list", "table", "inet", "lvs_director_marks")
		if want != (err == nil) || want && strings.Count(out, markingRules) != 2 {
			return fmt.Errorf("nft on %s: %v %s, want marking rules: %v", n.Name, err, out, want)
		}
		return nil
	})
}

// TestMarkingRules: a client keeps its real server over all addresses, ports and protocols that are marked, in both families; a
// port without the mark is not served. The rules are on the BACKUP, too, come back when another program removes all rules, are
// left by a kill and found by the next start, and are gone after a stop and cleanup, without a change of other tables.
//
// Proves docs/virtual-servers.md: "If another program removes them they come back within a second or two"
func TestMarkingRules(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.NFTables)
	lab.Long(t)
	c := newCluster(t, shape{})
	c.net.File("cluster.yaml", markingFile)
	for n, h := range []*lab.Host{c.master.Host, c.backup.Host, c.mysql1.Host, c.client} {
		h.Run("ip", "addr", "add", "fd00:77::"+[]string{"2", "3", "11", "50"}[n]+"/64", "dev", "eth0", "nodad")
	}
	c.mysql1.Run("ip", "-6", "route", "add", "fd00:77::50/128", "via", "fd00:77::2")
	standin.Start(c.mysql1.Host, "[fd00:77::11]:8080", "mysql1")
	for _, n := range []*node{c.mysql1, c.mysql2} {
		for _, port := range []string{"80", "443", "22"} {
			standin.Start(n.Host, "[::]:"+port, n.Name)
		}
		n.start()
		lab.Eventually(t, soon, func() error {
			if out := n.Run("ip", "-4", "addr", "show", "dev", "lo"); !strings.Contains(out, "10.77.0.100/32") || !strings.Contains(out, "10.77.0.101/32") {
				return fmt.Errorf("the agent of %s has not added the VIPs of packets with a mark: %s", n.Name, out)
			}
			return nil
		})
		standin.StartPackets(n.Host, vip+":53", n.Name)
	}
	c.master.Run("nft", "add table inet theirs")
	c.backup.start()
	c.startTwice(sameAs(c, markingCommands))
	c.servesMarked()
	healthy(t, c.master, c.backup)
	c.backup.awaitMarks(true)

	c.master.Run("nft", "flush", "ruleset")
	c.master.daemon.WaitLog("packet filter table was changed by another program", soon)
	c.master.Run("nft", "add table inet theirs")
	c.servesMarked()

	c.master.daemon.Kill()
	c.awaitHolder(c.backup, soon)
	c.master.awaitMarks(true)
	c.master.start()
	c.awaitHolder(c.master, soon)
	c.servesMarked()
	c.master.daemon.Stop()
	c.master.awaitMarks(false)
	if out := c.master.Run("nft", "list", "tables"); out != "table inet theirs\n" {
		t.Errorf("after the stop there is %s", out)
	}
	c.backup.daemon.Kill()
	c.backup.Run(program(t, "lvs-director"), "cleanup", "--config", c.backup.file, "--state-dir", c.backup.Path("state"))
	c.backup.awaitMarks(false)
}

// servesMarked judges lvs-master, which holds the VIPs.
func (c *cluster) servesMarked() {
	c.t.Helper()
	c.master.awaitMarks(true)
	lab.Eventually(c.t, soon, func() error { return holdsAll([]string{vip, "10.77.0.101", "fd00:77::100"}, c.master.Host) })
	lab.Eventually(c.t, soon, func() error { // without it a redirect would take the answers of IPv6 off their way
		_, err := c.master.Try("nft", "list", "table", "inet", "lvs_director_return_path")
		return err
	})
	first := c.greeted(vip, "80")
	for _, at := range [][2]string{{vip, "443"}, {"10.77.0.101", "80"}, {vip, "80"}} {
		if by := c.greeted(at[0], at[1]); by == "" || by != first {
			c.t.Errorf("%s port %s is answered by %q, and %s port 80 by %q, want one server", at[0], at[1], by, vip, first)
		}
	}
	if by := c.client.Run("bash", "-c", "exec 3<>/dev/udp/"+vip+"/53; echo >&3; timeout 5 dd bs=512 count=1 status=none <&3"); strings.TrimSpace(by) != first {
		c.t.Errorf("UDP is answered by %q, and TCP by %q", by, first)
	}
	if by := c.greeted("fd00:77::100", "80"); by != "mysql1" {
		c.t.Errorf("IPv6 is answered by %q", by)
	}
	if out, err := c.client.Try("bash", "-c", "exec 3<>/dev/tcp/"+vip+"/22"); err == nil || !strings.Contains(out+err.Error(), "refused") {
		c.t.Errorf("a port without the mark: %v %s", err, out)
	}
}

// TestMarkingWithoutNFTables: user-mode-linux has no nf_tables for IPv4 and IPv6. Clients are refused, and the director says so.
//
// Proves docs/virtual-servers.md: "A kernel without nf_tables for both families cannot have them; then clients are refused"
func TestMarkingWithoutNFTables(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c := newCluster(t, shape{})
	c.net.File("cluster.yaml", strings.ReplaceAll(fwmarkFile, "fwmark: 5, marking: none, persistence", "fwmark: 5, marking: nftables, address: 10.77.0.100, packets: [{ports: 443}], persistence"))
	if _, err := c.master.Try("nft", "add table inet probe"); err == nil {
		// Only with labrun -kernel debian: the scenario runs on user-mode-linux in every long form.
		t.Skip("this kernel has nf_tables for IPv4 and IPv6: TestMarkingRules shows the rules on it")
	}
	for _, n := range []*node{c.mysql1, c.mysql2} {
		n.vipByHand()
		standin.Start(n.Host, ":443", n.Name)
	}
	c.master.start()
	lab.Eventually(t, soon, func() error { return holdsAll([]string{vip}, c.master.Host) })
	if out, err := c.client.Try("bash", "-c", "exec 3<>/dev/tcp/"+vip+"/443"); err == nil || !strings.Contains(out+err.Error(), "refused") {
		t.Errorf("clients are not refused: %v %s", err, out)
	}
	lab.Eventually(t, soon, func() error {
		out, err := c.master.ctl("status", "--check")
		if lab.ExitCode(err) != 2 || !strings.Contains(out, "are not marked: this kernel has no nf_tables for IPv4 and IPv6") {
			return fmt.Errorf("lvsctl status --check: %v %s, want exit code 2 and the reason", err, out)
		}
		return nil
	})
}
