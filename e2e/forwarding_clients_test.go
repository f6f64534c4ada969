package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
	"github.com/lvs-director/lvs-director/pkg/problem"
)

// TestPacketFilterStopsClients: rules of a director and of real servers that stop clients or checks, while servers and
// directors work. Whether clients are served is what a client measures, and the commands that the status shows mend it.
//
// Proves docs/checks.md: "A rule of the director's own packet filter that stops the check says nothing about the server:
// the check is `no_network`."
// Proves docs/operations.md: "The same holds for the packets of clients, which pass through the chain INPUT of the director
// before IPVS takes them, and through that of the real server."
// Proves docs/quickstart.md: "and those with which a client ends its connection are always invalid"
// Proves docs/operations.md: "and if a setting of the kernel keeps clients from a VIP (`vip_not_reached`)"
// Proves docs/agent.md: "A container whose port docker publishes counts, with `docker-proxy` or without"
func TestPacketFilterStopsClients(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c := newCluster(t, shape{advert: "100ms"})
	_, two := c.answering()
	c.startAll()
	c.checksAreStopped(t)
	c.directorDrops(t)
	c.elsewhere(t)
	c.realServerDrops(t)
	c.published(t, two)
}

// checks waits until `status --check` of a node has an exit code and prints a text.
func (n *node) checks(code int, want string) {
	n.t.Helper()
	lab.Eventually(n.t, soon, func() error {
		if out, err := n.ctl("status", "--check"); lab.ExitCode(err) != code || !strings.Contains(out, want) {
			return fmt.Errorf("%s: status --check: %v %q, want exit code %d and %q", n.Name, err, out, code, want)
		}
		return nil
	})
}

// remedy runs the command that the status shows for a problem.
func (n *node) remedy(code problem.Code) {
	n.t.Helper()
	out, err := n.ctl("status", "-o", "json")
	var s struct {
		Problems []problem.Problem `json:"problem_details"`
	}
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		n.t.Fatalf("%v: %s", err, out)
	}
	for _, p := range s.Problems {
		if p.Code == code {
			command, _, _ := strings.Cut(p.Remedy, " (")
			n.Run(strings.Fields(command)...)
			return
		}
	}
	n.t.Fatalf("%s has no problem %s: %v %s", n.Name, code, err, out)
}

// newPorts gives the connections that a client makes from now on source ports that none of the scenario had before. Linux chooses
// them from another place every 10 s (secure_ipv4_port_ephemeral), and may come back to ports of connections that a rule cut off:
// connection tracking and IPVS know these for up to two minutes, so that a new one from the same port is dropped or invalid.
// It may be called 50 times; there are 1 000 ports each time.
func newPorts(client *lab.Host, calls *int) {
	first := 10000 + 1000**calls
	*calls++
	client.Sysctl("net.ipv4.ip_local_port_range", fmt.Sprintf("%d %d", first, first+999))
}

// answers measures which servers answer the client. All attempts must succeed, or, without servers, all fail.
func (c *cluster) answers(t *testing.T, servers ...string) {
	t.Helper()
	newPorts(c.client, &c.ports)
	m := measure.Start(c.client, vipPort, measure.Options{})
	for _, s := range servers {
		m.WaitAnswered(s, soon)
	}
	if len(servers) == 0 {
		time.Sleep(300 * time.Millisecond)
	}
	if r := m.Stop(); len(r.AnsweredBy()) != len(servers) || len(servers) > 0 && r.Failed() > 0 {
		t.Errorf("answers of %v are wanted: %s", servers, r)
	}
}

// checksAreStopped: a tcp-reset of a rule of the director looks like a server on which nothing listens, a DROP like one that
// is dead.
func (c *cluster) checksAreStopped(t *testing.T) {
	t.Helper()
	for action, looks := range map[string]string{
		"REJECT --reject-with tcp-reset": "dial 10.77.0.11:3306: connection refused",
		"DROP":                           "dial 10.77.0.11:3306: no answer within",
	} {
		rule := func(n *node, what, chain, server string) {
			n.Run(append([]string{"iptables", what, chain, "-d", server, "-p", "tcp", "--dport", "3306", "-j"}, strings.Fields(action)...)...)
		}
		rule(c.master, "-A", "OUTPUT", "10.77.0.11")
		c.master.checks(1, "mysql1: up: kept: tcp: "+looks)
		c.master.checks(1, "this director's own packet filter stops it: iptables")
		rule(c.master, "-A", "OUTPUT", "10.77.0.12")
		c.master.checks(2, "no way to")
		for range 3 { // more than the fall of the checks
			time.Sleep(500 * time.Millisecond)
			c.awaitTable(c.master, "10.77.0.11:3306", "10.77.0.12:3306")
		}
		rule(c.master, "-D", "OUTPUT", "10.77.0.11")
		rule(c.master, "-D", "OUTPUT", "10.77.0.12")
		c.master.checks(0, "OK")
		c.awaitHolder(c.master, soon)
		rule(c.mysql1, "-A", "INPUT", "10.77.0.11")
		c.awaitTable(c.master, "10.77.0.12:3306") // the server's rule is the server's
		c.mysql1.Run("iptables", "-F", "INPUT")
		c.awaitTable(c.master, "10.77.0.11:3306", "10.77.0.12:3306")
	}
}

// directorDrops: the policy DROP of the director, with what an administrator thinks of first.
func (c *cluster) directorDrops(t *testing.T) {
	t.Helper()
	c.answers(t, "mysql1", "mysql2")
	if n := c.kept(); n != 0 {
		t.Errorf("the real servers have %d connections of a client that has none", n)
	}
	c.master.Run("iptables", "-A", "INPUT", "-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP")
	c.answers(t, "mysql1", "mysql2")
	c.master.checks(1, "drops the packets with which clients end connections, so the real servers keep these: iptables")
	kept := c.kept()
	if kept == 0 {
		t.Error("the rule let FIN and RST pass")
	}
	c.master.remedy(problem.EndsBlocked)
	c.master.checks(0, "OK")
	c.answers(t, "mysql1", "mysql2")
	if n := c.kept(); n != kept {
		t.Errorf("the real servers have %d connections after the remedy, want the %d from before it", n, kept)
	}
	c.master.Run("iptables", "-D", "INPUT", "1")
	c.master.Sysctl("net.ipv4.vs.conntrack", "1")
	c.answers(t)
	c.master.checks(2, "-A INPUT -m conntrack --ctstate INVALID -j DROP")
	c.master.remedy(problem.ClientsBlocked)
	c.master.checks(0, "OK")
	c.answers(t, "mysql1", "mysql2")
	c.master.Sysctl("net.ipv4.vs.conntrack", "0")
	c.master.Run("iptables", "-F", "INPUT")
	c.master.Run("iptables", "-A", "INPUT", "-p", "112", "-j", "ACCEPT")
	c.master.Run("iptables", "-A", "INPUT", "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT")
	c.master.Run("iptables", "-P", "INPUT", "DROP")
	c.answers(t)
	c.master.checks(2, "mysql: the packet filter of this host drops the packets of clients: iptables")
	c.master.remedy(problem.ClientsBlocked)
	c.master.checks(0, "OK")
	c.answers(t, "mysql1", "mysql2")
	c.master.Run("iptables", "-P", "INPUT", "ACCEPT")
	c.master.Run("iptables", "-F", "INPUT")
}

// kept counts the connections of the client that the real servers have, of which the client has none. The last ones that the client
// has ended may be on their way. The measuring client ends its connections with RST, which is not sent again, as FIN would be.
func (c *cluster) kept() (n int) {
	c.t.Helper()
	counted := -1
	lab.Eventually(c.t, soon, func() error {
		n = 0
		for _, server := range []*node{c.mysql1, c.mysql2} {
			n += strings.Count(server.Run("ss", "-Htn", "state", "connected", "src", "10.77.0.100", "dst", "10.77.0.50"), "\n")
		}
		if n != counted {
			counted = n
			return fmt.Errorf("%d connections", n)
		}
		return nil
	})
	return n
}

// elsewhere: packets of clients that the director or a real server does not get, or that do not get on.
func (c *cluster) elsewhere(t *testing.T) {
	t.Helper()
	for _, way := range []struct {
		on            *node
		breaks, mends string
		want          string   // of the status
		left          []string // the servers that still answer
	}{
		{c.master, "iptables -t nat -A PREROUTING -d 10.77.0.100 -p tcp --dport 3306 -j DNAT --to-destination 10.77.0.99", "iptables -t nat -F PREROUTING", "sends the packets of clients elsewhere before IPVS sees them", nil},
		{c.master, "iptables -A OUTPUT -d 10.77.0.100 -m conntrack --ctstate UNTRACKED -j DROP", "iptables -F OUTPUT", "on their way to mysql1", nil},
		{c.master, "iptables -A INPUT -p tcp ! --syn -m conntrack --ctstate NEW -j DROP", "iptables -F INPUT", "the packet filter of this host drops the packets of clients", nil},
		{c.master, "sysctl -w net.ipv4.conf.eth0.arp_ignore=8", "sysctl -w net.ipv4.conf.eth0.arp_ignore=0", "answers no ARP request for its VIPs", nil},
		{c.master, "ip route del table local local 10.77.0.100 dev eth0", "ip route add table local local 10.77.0.100 dev eth0", "does not deliver its packets", nil},
		{c.mysql1, "ip route del table local local 10.77.0.100 dev lo", "ip route add table local local 10.77.0.100 dev lo", "packets to 10.77.0.100 are not delivered here", []string{"mysql2"}},
	} {
		way.on.Run(strings.Fields(way.breaks)...)
		way.on.checks(2, way.want)
		c.client.Run("ip", "neigh", "flush", "all")
		newPorts(c.client, &c.ports)
		m := measure.Start(c.client, vipPort, measure.Options{})
		time.Sleep(300 * time.Millisecond)
		if r := m.Stop(); r.Failed() == 0 || len(r.AnsweredBy()) != len(way.left) {
			t.Errorf("%s: answers of %v are wanted: %s", way.breaks, way.left, r)
		}
		way.on.Run(strings.Fields(way.mends)...)
		way.on.checks(0, "OK")
	}
	c.master.Sysctl("net.ipv4.vs.drop_packet", "3")
	c.master.checks(2, "net.ipv4.vs.drop_packet is 3")
	c.master.Sysctl("net.ipv4.vs.drop_packet", "0")
	c.master.checks(0, "OK")
	lab.Eventually(t, soon, func() error { // the kernel looks at it once a second
		newPorts(c.client, &c.ports)
		m := measure.Start(c.client, vipPort, measure.Options{})
		m.WaitAnswered("", soon)
		time.Sleep(300 * time.Millisecond)
		if r := m.Stop(); r.Failed() > 0 {
			return fmt.Errorf("after drop_packet: %s", r)
		}
		return nil
	})
}

// realServerDrops: a real server that accepts the checks, which use its own address, and no clients.
func (c *cluster) realServerDrops(t *testing.T) {
	t.Helper()
	c.mysql1.Run("iptables", "-A", "INPUT", "-p", "tcp", "-d", "10.77.0.11", "--dport", "3306", "-j", "ACCEPT")
	c.mysql1.Run("iptables", "-P", "INPUT", "DROP")
	c.mysql1.checks(2, "mysql: the packet filter of this machine drops the packets of clients: iptables")
	c.mysql1.remedy(problem.ServiceBlocked)
	c.mysql1.checks(0, "OK")
	c.answers(t, "mysql1", "mysql2")
}

// published: the service of a real server has another address and port, to which only rules like docker's lead.
func (c *cluster) published(t *testing.T, own *lab.Daemon) {
	t.Helper()
	own.Stop()
	c.mysql2.checks(2, "nothing listens on 10.77.0.100:3306")
	c.mysql2.Run("ip", "addr", "add", "172.17.0.2/32", "dev", "lo")
	standin.Start(c.mysql2.Host, "172.17.0.2:3307", "container")
	for _, rule := range []string{"-N DOCKER", "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER", "-A DOCKER ! -i docker0 -p tcp --dport 3306 -j DNAT --to-destination 172.17.0.2:3307"} {
		c.mysql2.Run(append([]string{"iptables", "-t", "nat"}, strings.Fields(rule)...)...)
	}
	c.mysql2.checks(0, "OK")
	c.awaitTable(c.master, "10.77.0.11:3306", "10.77.0.12:3306")
	c.answers(t, "mysql1", "container")
	c.mysql2.Run("iptables", "-t", "nat", "-F", "DOCKER")
	c.mysql2.checks(2, "nothing listens on 10.77.0.100:3306")
}
