package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

// answers reports whether an address answers ping.
func answers(h *lab.Host, address string) bool {
	_, err := h.Try("ping", "-n", "-c1", "-W1", address)
	return err == nil
}

// awaitRules waits until a director has the rules of accept_mode: false, or has none.
func (n *node) awaitRules(want bool) {
	n.t.Helper()
	lab.Eventually(n.t, soon, func() error {
		out, err := n.Try("nft", "list", "table", "inet", "lvs_director_accept_mode")
		if want != (err == nil) {
			return fmt.Errorf("nft on %s: %v %s, want rules: %v", n.Name, err, out, want)
		}
		return nil
	})
}

// TestAcceptMode: with accept_mode: false the VIPs of both families answer neither ping nor ssh, but ARP and neighbour
// solicitations, and the virtual server is served by every forwarding method; packets of the director itself pass. Rules
// that another program removes come back, a kill leaves nothing that the next start does not take over, and a stop and
// cleanup remove the table and no other.
//
// Proves docs/operations.md: "With `accept_mode: false` a virtual address answers ARP and neighbour discovery, and serves"
func TestAcceptMode(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.NFTables)
	lab.Release(t)
	c := newCluster(t, shape{instance: `excluded_addresses: ["fd00::100"]` + "\n    accept_mode: false"})
	for n, h := range []*lab.Host{c.master.Host, c.backup.Host, c.client} {
		h.Run("ip", "addr", "add", fmt.Sprintf("fd00::%d/64", n+2), "dev", "eth0", "nodad")
	}
	c.answering()
	c.master.Run("nft", "add table inet theirs")
	standin.Start(c.master.Host, "0.0.0.0:22", "ssh")
	standin.Start(c.master.Host, "[::]:2222", "ssh6")
	c.startAll()
	c.closedVIP()

	c.master.Run("nft", "flush", "ruleset")
	c.master.daemon.WaitLog("packet filter table was changed by another program", soon)
	c.master.awaitRules(true)
	c.master.Run("nft", "add table inet theirs")
	c.forwardBy("dr", "nat")
	c.closedVIP()
	c.forwardBy("nat", "tun")
	c.closedVIP()

	c.master.daemon.Kill()
	c.awaitHolder(c.backup, soon)
	c.master.awaitRules(true)
	c.master.start()
	c.awaitHolder(c.master, soon)
	c.closedVIP()

	c.master.daemon.Stop()
	c.awaitHolder(c.backup, soon)
	c.closedOn(c.backup)
	c.master.awaitRules(false)
	if out := c.master.Run("nft", "list", "tables"); out != "table inet theirs\n" {
		t.Errorf("after the stop there is %s", out)
	}
	c.backup.daemon.Kill()
	c.backup.Run(program(t, "lvs-director"), "cleanup", "--config", c.backup.file, "--state-dir", c.backup.Path("state"))
	c.backup.awaitRules(false)
}

// forwardBy changes the forwarding method on all nodes. With NAT the answers to the client are routed by lvs-master.
func (c *cluster) forwardBy(from, to string) {
	c.t.Helper()
	c.edit("forward: "+from, "forward: "+to)
	for _, n := range []*node{c.mysql1, c.mysql2, c.master, c.backup} {
		switch {
		case n == c.master || n == c.backup:
		case to == "nat":
			n.ip("route add 10.77.0.50/32 via 10.77.0.2")
		default:
			n.ip("route del 10.77.0.50/32 via 10.77.0.2")
			n.Run("modprobe", "ipip") // the agent does not load it but reports that it is missing
		}
		if out, err := n.ctl("reload"); err != nil {
			c.t.Fatalf("%s: lvsctl reload: %v %s", n.Name, err, out)
		}
	}
}

// closedVIP judges the VIPs on lvs-master.
func (c *cluster) closedVIP() {
	c.t.Helper()
	c.awaitHolder(c.master, soon)
	c.closedOn(c.master)
	healthy(c.t, c.master, c.backup)
}

// closedOn judges the VIPs on their holder.
func (c *cluster) closedOn(n *node) {
	c.t.Helper()
	c.client.Run("ip", "neigh", "flush", "all")
	m := measure.Start(c.client, vipPort, measure.Options{})
	m.WaitAnswered("", soon)
	if result := m.Stop(); result.Failed() > 0 {
		c.t.Errorf("clients of the virtual server fail: %s", result)
	}
	for address, want := range map[string]bool{vip: false, "fd00::100": false} {
		if answers(c.client, address) != want {
			c.t.Errorf("%s answers ping from another machine: %v", address, !want)
		}
		if !answers(n.Host, address) {
			c.t.Errorf("%s does not answer ping of its own machine", address)
		}
		_, hardware, known := strings.Cut(c.client.Run("ip", "neigh", "show", "to", address), "lladdr ")
		if !known {
			c.t.Errorf("%s does not answer ARP or neighbour solicitations", address)
			continue
		}
		// A neighbour that knows the address asks it directly.
		c.client.Run("ip", "neigh", "replace", address, "lladdr", strings.Fields(hardware)[0], "dev", "eth0", "nud", "probe")
		lab.Eventually(c.t, soon, func() error {
			if out := c.client.Run("ip", "neigh", "show", "to", address); !strings.Contains(out, "REACHABLE") {
				return fmt.Errorf("%s does not answer a question to itself: %s", address, out)
			}
			return nil
		})
	}
	if n == c.master && (!answers(c.client, "10.77.0.2") || !answers(c.client, "fd00::2")) {
		c.t.Error("the director's own addresses do not answer ping")
	}
	for _, port := range []string{vip + ":22", "[fd00::100]:2222"} {
		m := measure.Start(c.client, port, measure.Options{})
		time.Sleep(300 * time.Millisecond)
		if result := m.Stop(); len(result.AnsweredBy()) > 0 {
			c.t.Errorf("%s answers: %s", port, result)
		}
	}
}

// warns waits until the node's status warns of something and has no worse problem.
func (n *node) warns(text string) {
	n.t.Helper()
	lab.Eventually(n.t, soon, func() error {
		out, err := n.ctl("status", "--check")
		if lab.ExitCode(err) != 1 || !strings.Contains(out, text) {
			return fmt.Errorf("lvsctl status --check of %s: %v %s, want exit code 1 and %q", n.Name, err, out, text)
		}
		return nil
	})
}

const acceptOnOneMachineFile = `version: 1
directors:
  - {name: lvs-master, address: 10.77.0.2}
vrrp_instances:
  - {name: mysql, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [10.77.0.100, 10.77.0.101, 10.77.0.102], accept_mode: false}
virtual_servers:
  - name: mysql
    address: 10.77.0.100
    port: 3306
    scheduler: rr
    forward: dr
    checks: [{type: tcp, interval: 200ms, timeout: 150ms}]
    real_servers: &here [{name: lvs-master, address: 10.77.0.2}]
  - {name: every, address: 10.77.0.101, port: 0, persistence: {timeout: 50s}, scheduler: rr, forward: dr, real_servers: *here, checks: &web [{type: tcp, port: 80, interval: 200ms, timeout: 150ms}]}
  - {name: marked, fwmark: 5, marking: none, scheduler: rr, forward: dr, real_servers: *here, checks: *web}
`

// TestAcceptModeOnOneMachine: IPVS hands the packets for a real server on the director itself on to the packet filter, which
// lets them pass: those for an address and port, for every port of an address, and those with a firewall mark.
//
// Proves docs/operations.md: "with real servers on the directors, too"
func TestAcceptModeOnOneMachine(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.NFTables)
	lab.Long(t)
	n := lab.New(t)
	lan := n.Bridge("lan")
	client := n.Host("client", lan.At("10.77.0.50/24"))
	d := newNode(t, n.Host("lvs-master", lan.At("10.77.0.2/24")), "lvs-director", n.File("cluster.yaml", acceptOnOneMachineFile))
	for _, port := range []string{":3306", ":80", ":22"} {
		standin.Start(d.Host, port, "own")
	}
	d.Run("nft", "add table ip theirs; add chain ip theirs marks { type filter hook prerouting priority mangle; }; add rule ip theirs marks ip daddr 10.77.0.102 tcp dport 80 meta mark set 5")
	d.start()
	for _, at := range []string{vipPort, "10.77.0.101:80", "10.77.0.101:3306", "10.77.0.102:80"} {
		m := measure.Start(client, at, measure.Options{})
		m.WaitAnswered("own", soon)
		m.Stop()
	}
	d.awaitRules(true)
	for _, at := range []string{vip, "10.77.0.101", "10.77.0.102"} {
		if answers(client, at) {
			t.Errorf("%s answers ping", at)
		}
	}
	for _, at := range []string{vip + ":80", "10.77.0.102:22"} { // of no virtual server
		m := measure.Start(client, at, measure.Options{})
		time.Sleep(300 * time.Millisecond)
		if result := m.Stop(); len(result.AnsweredBy()) > 0 {
			t.Errorf("%s answers: %s", at, result)
		}
	}
	healthy(t, d)
}

// TestAcceptModeWithoutNFTables: user-mode-linux has no nf_tables for IPv4 and IPv6. The director serves and warns, and goes on
// without a warning when the rules are no longer wanted.
//
// Proves docs/operations.md: "The director serves nevertheless, and reports it:"
func TestAcceptModeWithoutNFTables(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c := newCluster(t, shape{advert: "100ms", instance: "accept_mode: false"})
	if _, err := c.master.Try("nft", "add table inet probe"); err == nil {
		t.Skip("this kernel has nf_tables for IPv4 and IPv6: TestAcceptMode shows the rules on it")
	}
	c.answering()
	c.startMaster()
	c.master.warns("accept_mode: false is not in effect: this kernel has no nf_tables for IPv4 and IPv6")
	if !answers(c.client, vip) {
		t.Error("the VIP does not answer ping, and the director says that it does")
	}
	c.reload("accept_mode: false", "accept_mode: true")
	healthy(t, c.master)
	c.master.daemon.Stop()
}
