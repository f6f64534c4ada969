package e2e

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

// wire judges the packets that passed an interface. A MAC address in the lab is 02:4c followed by the IPv4 address of
// its interface.
type wire struct {
	t       *testing.T
	where   string
	capture *capture.Capture
	packets []capture.Packet
}

func tap(t *testing.T, h *lab.Host, device, filter string) *wire {
	return &wire{t: t, where: device + " of " + h.Name, capture: capture.Start(h, device, filter)}
}

// stop ends the capture; has and hasNot judge its packets.
func (w *wire) stop() { w.packets = w.capture.Stop() }

func (w *wire) has(what, pattern string) {
	w.t.Helper()
	if len(capture.Matching(w.packets, pattern)) == 0 {
		w.t.Errorf("%s: no packet matches %q: %s. Captured:\n%s", w.where, pattern, what, texts(w.packets, 10))
	}
}

func (w *wire) hasNot(what, pattern string) {
	w.t.Helper()
	if found := capture.Matching(w.packets, pattern); len(found) > 0 {
		w.t.Errorf("%s: packets match %q: %s:\n%s", w.where, pattern, what, texts(found, 5))
	}
}

func texts(packets []capture.Packet, most int) string {
	var b strings.Builder
	for i, p := range packets {
		if i == most {
			fmt.Fprintf(&b, "  … and %d more\n", len(packets)-most)
			break
		}
		fmt.Fprintf(&b, "  %s\n", p.Text)
	}
	return b.String()
}

// TestForwardDR: requests go through the director, which changes only the MAC addresses; answers go directly from the
// real server to the client.
//
// Proves docs/packet-flow.md: "IPVS on the MASTER chooses a real server and forwards the packet. Source, destination
// and ports are unchanged; only the Ethernet header is new."
// Proves docs/packet-flow.md: "The real server has the VIP on `lo`, so it accepts the packet and answers the client
// directly, bypassing the director."
func TestForwardDR(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.StockKernel)
	c := newCluster(t, shape{advert: "100ms"})
	c.answering()
	c.startAll()
	const filter = "tcp and host 10.77.0.100"
	client, director, server := tap(t, c.client, "eth0", filter), tap(t, c.master.Host, "eth0", filter), tap(t, c.mysql1.Host, "eth0", filter)
	conns := measure.OpenConnections(c.client, vipPort, 2)
	if alive := conns.Alive(); alive["mysql1"] != 1 || alive["mysql2"] != 1 {
		t.Errorf("alive %v, want one connection on each real server", alive)
	}
	conns.Close()
	client.stop()
	director.stop()
	server.stop()

	client.has("requests go to the director", `02:4c:0a:4d:00:32 > 02:4c:0a:4d:00:02, .* 10.77.0.50.\d+ > 10.77.0.100.3306: Flags \[S\]`)
	client.has("mysql1 answers directly", `02:4c:0a:4d:00:0b > 02:4c:0a:4d:00:32, .* 10.77.0.100.3306 > 10.77.0.50.\d+: Flags \[S\.\]`)
	client.has("mysql2 answers directly", `02:4c:0a:4d:00:0c > 02:4c:0a:4d:00:32, .* 10.77.0.100.3306 > 10.77.0.50.\d+: Flags \[S\.\]`)
	client.hasNot("nothing comes from the director", `^02:4c:0a:4d:00:02 > `)
	director.has("the request is forwarded to mysql1 with the VIP as destination", `02:4c:0a:4d:00:02 > 02:4c:0a:4d:00:0b, .* 10.77.0.50.\d+ > 10.77.0.100.3306: Flags \[S\]`)
	director.hasNot("answers do not pass the director", ` 10.77.0.100.3306 > `)
	server.has("the request comes from the director", `02:4c:0a:4d:00:02 > 02:4c:0a:4d:00:0b, .* 10.77.0.50.\d+ > 10.77.0.100.3306: Flags \[S\]`)
}

const tunFile = `version: 1
directors: [{name: lvs-master, address: 10.77.0.2}]
vrrp_instances:
  - {name: mysql, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [10.77.0.100]}
virtual_servers:
  - name: mysql
    address: 10.77.0.100
    port: 3306
    scheduler: rr
    forward: tun
    checks: [{type: tcp, interval: 200ms, timeout: 150ms}]
    real_servers: [{name: far1, address: 10.78.0.11}]
`

// TestForwardTUN: a real server in another subnet gets requests in IP in IP (protocol 4) and answers the client
// directly. The agent configures everything on it, including rp_filter: strict reverse path filtering, which
// distributions enable, would drop the requests.
//
// Proves docs/packet-flow.md: "As with DR, but the packet is encapsulated in another one that is addressed to the real
// server. So real servers may be in other networks."
// Proves docs/packet-flow.md: "The director answers client packets larger than 1480 bytes with "fragmentation needed"."
// Proves docs/agent.md: "`tun` | VIP/32 on `tunl0`, and `tunl0` up | the same, and `net.ipv4.conf.tunl0.rp_filter=2`"
func TestForwardTUN(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	n := lab.New(t)
	lan, far := n.Bridge("lan"), n.Bridge("far")
	file := n.File("cluster.yaml", tunFile)
	router := n.Host("router", lan.At("10.77.0.1/24"), far.At("10.78.0.1/24"))
	router.Sysctl("net.ipv4.ip_forward", "1")
	client := n.Host("client", lan.At("10.77.0.50/24"))
	master := newNode(t, n.Host("lvs-master", lan.At("10.77.0.2/24")), "lvs-director", file)
	server := newNode(t, n.Host("far1", far.At("10.78.0.11/24")), "lvs-realserver", file)
	for _, h := range []*lab.Host{client, master.Host} {
		h.Gateway("10.77.0.1")
	}
	server.Gateway("10.78.0.1")
	for _, conf := range []string{"all", "default", "eth0"} {
		server.Sysctl("net.ipv4.conf."+conf+".rp_filter", "1")
	}
	server.Run("modprobe", "ipip") // the agent does not load it but reports that it is missing
	standin.Start(server.Host, ":3306", "far1")
	server.start()
	master.start()
	lab.Eventually(t, soon, func() error {
		if got := master.table().Service(vipPort).Server("10.78.0.11:3306"); got.Forward != "Tunnel" || !master.holds() {
			return fmt.Errorf("not served yet: %+v", got)
		}
		return nil
	})
	healthy(t, master, server)
	outside, inside := tap(t, client, "eth0", "tcp port 3306 or icmp"), tap(t, server.Host, "eth0", "host 10.77.0.2 and ip proto 4 or tcp port 3306")
	conns := measure.OpenConnections(client, vipPort, 2)
	if alive := conns.Alive(); alive["far1"] != 2 {
		t.Errorf("alive %v, want both", alive)
	}
	bigRequest(t, client)
	conns.Close()
	outside.stop()
	inside.stop()
	inside.has("the request comes in a tunnel from the director", ` 10.77.0.2 > 10.78.0.11: (IP )?10.77.0.50.\d+ > 10.77.0.100.3306: Flags \[S\]`)
	inside.has("the answer leaves outside the tunnel", `02:4c:0a:4e:00:0b > 02:4c:0a:4e:00:01, .*: 10.77.0.100.3306 > 10.77.0.50.\d+: Flags \[S\.\]`)
	outside.has("the answer comes by the router", `02:4c:0a:4d:00:01 > 02:4c:0a:4d:00:32, .* 10.77.0.100.3306 > 10.77.0.50.\d+: Flags \[S\.\]`)
	outside.hasNot("answers do not pass the director", `^02:4c:0a:4d:00:02 > .* 10.77.0.100.3306 > `)
	outside.has("the director reports the MTU of the tunnel", ` 10.77.0.100 > 10.77.0.50: ICMP .* need to frag \(mtu 1480\)`)
	if table := master.table().Service(vipPort).Server("10.78.0.11:3306"); table.Forward != "Tunnel" {
		t.Errorf("the table has %q, want Tunnel", table.Forward)
	}

	server.daemon.Stop()
	if server.HasAddress(vip) || server.SysctlValue("net.ipv4.conf.tunl0.rp_filter") != "1" || server.SysctlValue("net.ipv4.conf.all.arp_ignore") != "0" {
		t.Errorf("the stopped agent did not restore everything:\n%s", server.Run("ip", "addr"))
	}
}

// bigRequest sends a request that is larger than a packet in the tunnel.
func bigRequest(t *testing.T, client *lab.Host) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	conn, err := client.Dial(ctx, "tcp4", vipPort)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(soon)); err != nil {
		t.Fatal(err)
	}
	readLine(t, conn)
	if _, err := conn.Write([]byte(strings.Repeat("a long question ", 200) + "\n")); err != nil {
		t.Fatal(err)
	}
	readLine(t, conn)
}

// readLine reads one line of a server's answer, at most 64 bytes.
func readLine(t *testing.T, conn net.Conn) string {
	t.Helper()
	text := make([]byte, 64)
	n, err := conn.Read(text)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	return strings.TrimSpace(string(text[:n]))
}

// TestCheckRefusesAPortThatCannotBeChanged: only NAT rewrites ports; `lvsctl check` reports another port with DR or
// TUN.
//
// Proves docs/packet-flow.md: "A real server receives the packet as the client sent it. The cluster file rejects a
// different port for a real server."
// Proves docs/cluster-file.md: "only `forward: nat` can change it"
func TestCheckRefusesAPortThatCannotBeChanged(t *testing.T) {
	lab.Need(t, lab.IPVS)
	n := lab.New(t)
	host := n.Host("anywhere")
	for _, forward := range []string{"dr", "tun"} {
		text := strings.NewReplacer("forward: tun", "forward: "+forward, "address: 10.78.0.11}", "address: 10.78.0.11, port: 3307}").Replace(tunFile)
		out, err := host.Try(program(t, "lvsctl"), "check", n.File(forward+".yaml", text))
		want := "3307 differs from the virtual server's 3306: " + strings.ToUpper(forward) + " cannot change the port"
		if lab.ExitCode(err) != 2 || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%s: lvsctl check: %v %s, want exit code 2 and %q", forward, err, out, want)
		}
	}
	nat := strings.NewReplacer("forward: tun", "forward: nat", "address: 10.78.0.11}", "address: 10.78.0.11, port: 3307}").Replace(tunFile)
	host.Run(program(t, "lvsctl"), "check", n.File("nat.yaml", nat))
}

const natFile = `version: 1
directors:
  - {name: lvs-master, address: 10.77.0.2}
  - {name: lvs-backup, address: 10.77.0.3}
vrrp_instances:
  - {name: outer, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [10.77.0.100],
     per_node: {lvs-master: {priority: 150}}}
  - {name: inner, interface: eth1, virtual_router_id: 52, advert_interval: 100ms, virtual_addresses: [10.79.0.1],
     per_node: {lvs-master: {priority: 150}}}
virtual_servers:
  - name: mysql
    address: 10.77.0.100
    port: 3306
    scheduler: rr
    forward: nat
    checks: [{type: tcp, interval: 200ms, timeout: 150ms}]
    real_servers:
      - {name: mysql1, address: 10.79.0.11, port: 3307}
      - {name: mysql2, address: 10.79.0.12, port: 3307}
`

// natCluster has the directors between two networks; the real servers' default gateway is the inner VIP.
type natCluster struct {
	t              *testing.T
	client         *lab.Host
	master, backup *node
	servers        [2]*node
	ports          int // calls of newPorts
}

// more are further sections of the cluster file.
func newNATCluster(t *testing.T, more ...string) *natCluster {
	t.Helper()
	n := lab.New(t)
	outer, inner := n.Bridge("outer"), n.Bridge("inner")
	file := n.File("cluster.yaml", natFile+strings.Join(more, ""))
	c := &natCluster{t: t, client: n.Host("client", outer.At("10.77.0.50/24"))}
	c.master = newNode(t, n.Host("lvs-master", outer.At("10.77.0.2/24"), inner.At("10.79.0.2/24")), "lvs-director", file)
	c.backup = newNode(t, n.Host("lvs-backup", outer.At("10.77.0.3/24"), inner.At("10.79.0.3/24")), "lvs-director", file)
	for i := range c.servers {
		name := fmt.Sprintf("mysql%d", i+1)
		c.servers[i] = newNode(t, n.Host(name, inner.At(fmt.Sprintf("10.79.0.%d/24", 11+i))), "lvs-realserver", file)
		c.servers[i].Gateway("10.79.0.1")
		standin.Start(c.servers[i].Host, ":3307", name)
	}
	return c
}

// awaitBoth waits until both VIPs are on this director and not on the other one.
func (c *natCluster) awaitBoth(n *node) {
	c.t.Helper()
	lab.Eventually(c.t, soon, func() error {
		for _, address := range []string{vip, "10.79.0.1"} {
			if holders := lab.Holders(address, c.master.Host, c.backup.Host); len(holders) != 1 || holders[0] != n.Name {
				return fmt.Errorf("%s is on %v, want it on %s alone", address, holders, n.Name)
			}
		}
		return nil
	})
}

// TestForwardNAT: the director that holds the VIPs of both networks rewrites addresses and port in both directions.
// When it fails both VIPs move to the other one. An agent whose answers would bypass the directors reports that.
//
// Proves docs/packet-flow.md: "The director rewrites the destination, and the source on the return path. So the return
// path must lead through the same director: the real server's route to the clients points to a VIP on the inside, which
// moves together with the outside one."
// Proves docs/packet-flow.md: "The director routes packets, so it sets `net.ipv4.ip_forward=1`, and `send_redirects=0`
// on `all` and on the instances' interfaces; it restores the previous values when it stops."
// Proves docs/operations.md: "A director and an agent read the rules every 3 s and report `clients_blocked`,
// `answers_blocked` and `service_blocked` if they drop these packets, with the command that lets them pass."
// Proves docs/agent.md: "It asks the kernel for the next hop of answers to clients and reports a problem if that is not
// an address that the directors hold:"
func TestForwardNAT(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c := newNATCluster(t)
	agent := c.servers[1].wrongGateway()
	c.servers[0].start()
	// Values that the kernel changes together with ip_forward, and that it does not restore with it.
	c.master.Run("sysctl", "-w", "net.ipv4.conf.all.accept_redirects=0", "net.ipv4.conf.eth1.forwarding=1", "net.ipv4.conf.default.forwarding=1")
	before := c.master.routing()
	c.master.start()
	c.backup.start()
	c.awaitBoth(c.master)
	for _, n := range []*node{c.master, c.backup} {
		lab.Eventually(t, soon, func() error { return tableHas(n, "10.79.0.11:3307", "10.79.0.12:3307") })
		if forward := n.table().Service(vipPort).Server("10.79.0.11:3307").Forward; forward != "Masq" {
			t.Errorf("%s: the table has %q, want Masq", n.Name, forward)
		}
	}
	c.rewritten()
	agent.WaitLog("over: virtual server mysql: answers leave through 10.79.0.254", soon)
	healthy(t, c.master, c.backup, c.servers[0], c.servers[1])

	t.Run("packet filter", func(t *testing.T) { c.filtered(t) })
	t.Run("kill", func(t *testing.T) {
		measured := measure.Start(c.client, vipPort, measure.Options{})
		measured.WaitAnswered("", soon)
		c.master.daemon.Kill()
		c.awaitBoth(c.backup)
		measured.WaitAnswered("mysql1", soon)
		measured.WaitAnswered("mysql2", soon)
		t.Logf("kill -9 of the director: %s", measured.Stop())
	})
	c.master.start()
	c.awaitBoth(c.master)
	t.Run("cables", func(t *testing.T) {
		measured := measure.Start(c.client, vipPort, measure.Options{})
		measured.WaitAnswered("", soon)
		c.master.Link("eth0").Unplug()
		c.master.Link("eth1").Unplug()
		lab.Eventually(t, soon, func() error {
			for _, address := range []string{vip, "10.79.0.1"} {
				if len(lab.Holders(address, c.backup.Host)) == 0 {
					return fmt.Errorf("%s has not moved", address)
				}
			}
			return nil
		})
		measured.WaitAnswered("mysql1", soon)
		measured.WaitAnswered("mysql2", soon)
		t.Logf("both cables of the director unplugged: %s", measured.Stop())
	})
	c.master.Link("eth0").Plug()
	c.master.Link("eth1").Plug()
	c.awaitBoth(c.master)
	healthy(t, c.master, c.backup, c.servers[0], c.servers[1])
	c.master.daemon.Stop()
	if after := c.master.routing(); before != after {
		t.Errorf("before the start of the director:\n%s\nafter its stop:\n%s", before, after)
	}
}

// routing returns the sysctls about forwarding and redirects, of all interfaces.
func (n *node) routing() string {
	n.t.Helper()
	return n.Run("sysctl", "-a", "-r", `^net\.ipv[46]\..*(ip_forward|\.forwarding|_redirects)$`)
}

// wrongGateway starts the agent of a real server whose answers would bypass the directors, judges how the agent reports
// it, and then corrects the gateway.
func (n *node) wrongGateway() *lab.Daemon {
	n.t.Helper()
	n.Gateway("10.79.0.254")
	agent := n.start()
	agent.WaitLog("virtual server mysql: answers leave through 10.79.0.254, which is not a director's address.*VIP that the directors hold: 10.79.0.1", soon)
	out, err := n.ctl("status")
	if err != nil || !strings.Contains(out, "answers leave through 10.79.0.254") {
		n.t.Errorf("lvsctl status of an agent with a wrong gateway: %v\n%s", err, out)
	}
	if out, err := n.ctl("status", "--check"); lab.ExitCode(err) != 2 || !strings.HasPrefix(out, "CRITICAL: ") {
		n.t.Errorf("lvsctl status --check of an agent with a wrong gateway: %v %q, want CRITICAL and exit code 2", err, out)
	}
	n.Gateway("10.79.0.1")
	return agent
}

// rewritten judges the packets of a connection to each server through the master.
func (c *natCluster) rewritten() {
	c.t.Helper()
	const filter = "tcp port 3306 or tcp port 3307 and host 10.77.0.50"
	outside, inside := tap(c.t, c.client, "eth0", filter), tap(c.t, c.servers[0].Host, "eth0", filter)
	conns := measure.OpenConnections(c.client, vipPort, 2)
	if alive := conns.Alive(); alive["mysql1"] != 1 || alive["mysql2"] != 1 {
		c.t.Errorf("alive %v, want one connection on each real server", alive)
	}
	conns.Close()
	outside.stop()
	inside.stop()
	outside.has("requests go to the VIP", `02:4c:0a:4d:00:32 > 02:4c:0a:4d:00:02, .* 10.77.0.50.\d+ > 10.77.0.100.3306: Flags \[S\]`)
	outside.has("answers come from the VIP, through the director", `02:4c:0a:4d:00:02 > 02:4c:0a:4d:00:32, .* 10.77.0.100.3306 > 10.77.0.50.\d+: Flags \[S\.\]`)
	outside.hasNot("no packet to the client shows the inner network", `10\.79\.0\.|\.3307[ :]`)
	inside.has("requests have the real server's address and port", `02:4c:0a:4f:00:02 > 02:4c:0a:4f:00:0b, .* 10.77.0.50.\d+ > 10.79.0.11.3307: Flags \[S\]`)
	inside.has("answers go back to the director", `02:4c:0a:4f:00:0b > 02:4c:0a:4f:00:02, .* 10.79.0.11.3307 > 10.77.0.50.\d+: Flags \[S\.\]`)
	inside.hasNot("no packet inside has the outer VIP", `10\.77\.0\.100`)
}
