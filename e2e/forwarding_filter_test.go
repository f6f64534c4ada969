package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/e2e/lab/systemd"
)

// serves judges whether every connection is answered, or none.
func (c *natCluster) serves(t *testing.T, want bool) {
	t.Helper()
	newPorts(c.client, &c.ports)
	m := measure.Start(c.client, vipPort, measure.Options{})
	if want {
		m.WaitAnswered("mysql1", soon)
		m.WaitAnswered("mysql2", soon)
	} else {
		time.Sleep(300 * time.Millisecond)
	}
	if result := m.Stop(); want != (result.Failed() == 0) || !want && len(result.AnsweredBy()) > 0 {
		t.Errorf("served %v is wanted: %s", want, result)
	}
}

// filtered makes the MASTER's packet filter drop the answers, and runs the commands that its status shows.
func (c *natCluster) filtered(t *testing.T) {
	t.Helper()
	c.master.checks(0, "OK")
	c.master.Run("iptables", "-P", "FORWARD", "DROP")
	c.master.Run("iptables", "-A", "FORWARD", "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT")
	c.serves(t, false)
	c.master.checks(2, "iptables-legacy, table filter, chain FORWARD: policy DROP")
	for _, server := range []string{"10.79.0.11", "10.79.0.12"} { // the command in the problem's remedy
		c.master.Run("iptables-legacy", "-I", "FORWARD", "-s", server, "-p", "tcp", "--sport", "3307", "-j", "ACCEPT")
	}
	c.master.checks(0, "OK")
	c.serves(t, true)
	c.master.Run("sysctl", "-w", "net.ipv4.conf.eth1.forwarding=0")
	c.serves(t, false)
	c.master.checks(2, "net.ipv4.conf.eth1.forwarding is 0")
	c.master.Run("sysctl", "-w", "net.ipv4.conf.eth1.forwarding=1")
	c.master.checks(0, "OK")
	c.serves(t, true)
}

// firewalldRules are the chains of firewalld for forwarded packets, with both interfaces in the zone public.
const firewalldRules = `table inet firewalld {
	chain filter_FWD_public_allow {
		oifname "eth0" accept
		oifname "eth1" accept
	}
	chain filter_FWD_public {
		jump filter_FWD_public_allow
		meta l4proto { icmp, ipv6-icmp } accept
	}
	chain filter_FORWARD {
		type filter hook forward priority filter + 10; policy accept;
		ct state { established, related } accept
		ct status dnat accept
		iifname "lo" accept
		ct state invalid drop
		iifname "eth1" jump filter_FWD_public
		reject with icmpx admin-prohibited
	}
}
`

// TestPacketFilterOfNFTables: the rules of firewalld and of iptables-nft are judged as the kernel applies them, and the
// commands that the status shows let the answers pass.
//
// Proves docs/operations.md: "| firewalld | blocked by `ct state invalid drop` | `sysctl -w net.ipv4.vs.conntrack=1` |"
func TestPacketFilterOfNFTables(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.NFTables)
	lab.Long(t)
	c := newNATCluster(t)
	for _, n := range []*node{c.servers[0], c.servers[1], c.master} {
		n.start()
	}
	c.awaitBoth(c.master)
	c.master.checks(0, "OK")
	c.master.Run("nft", firewalldRules)
	c.serves(t, false)
	c.master.checks(2, "nft, table inet firewalld, chain filter_FORWARD: ")
	c.master.Run("sysctl", "-w", "net.ipv4.vs.conntrack=1")
	c.master.checks(0, "OK")
	c.serves(t, true)
	c.master.Run("iptables-nft", "-P", "FORWARD", "DROP")
	c.serves(t, false)
	c.master.checks(2, "iptables, table filter, chain FORWARD: policy DROP")
	for _, server := range []string{"10.79.0.11", "10.79.0.12"} {
		c.master.Run("iptables-nft", "-I", "FORWARD", "-s", server, "-p", "tcp", "--sport", "3307", "-j", "ACCEPT")
	}
	c.master.checks(0, "OK")
	c.serves(t, true)
}

// TestPacketFilterUnderTheUnit: the shipped units let the daemons start the tools that read the rules.
//
// Proves docs/operations.md: "They start `iptables-save` and `nft` for that, and only if the kernel has rules. The shipped
// units allow that."
func TestPacketFilterUnderTheUnit(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.Systemd)
	lab.Long(t)
	c := newNATCluster(t)
	c.servers[1].start()
	s, agent := c.master.underSystemd(), c.servers[0].underSystemd()
	s.Systemctl("start", directorUnit)
	agent.Systemctl("start", agentUnit)
	checks := func(s *systemd.Instance, code int, want string) {
		t.Helper()
		lab.Eventually(t, soon, func() error {
			if out, err := s.Try("lvsctl", "status", "--check"); lab.ExitCode(err) != code || !strings.Contains(out, want) {
				return fmt.Errorf("status --check: %v %q, want exit code %d and %q", err, out, code, want)
			}
			return nil
		})
	}
	c.master.Run("iptables", "-P", "FORWARD", "ACCEPT") // loads the table filter
	checks(s, 0, "OK")
	c.master.Run("iptables", "-P", "FORWARD", "DROP")
	checks(s, 2, "iptables-legacy, table filter, chain FORWARD: policy DROP")
	c.master.Run("iptables", "-P", "FORWARD", "ACCEPT")
	checks(s, 0, "OK")
	c.servers[0].Run("iptables", "-P", "INPUT", "DROP")
	checks(agent, 2, "iptables-legacy, table filter, chain INPUT: policy DROP")
	c.servers[0].Run("iptables", "-P", "INPUT", "ACCEPT")
	checks(agent, 0, "OK")
}
