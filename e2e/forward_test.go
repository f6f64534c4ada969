package e2e

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// wire judges what passed an interface. A MAC of the lab is 02:4c and the IPv4 address of its interface.
type wire struct {
	t       *testing.T
	where   string
	capture *lab.Capture
	packets []lab.Packet
}

func tap(t *testing.T, h *lab.Host, device, filter string) *wire {
	return &wire{t: t, where: device + " of " + h.Name, capture: h.Capture(device, filter)}
}

// stop ends the capture, after which has and hasNot judge it.
func (w *wire) stop() { w.packets = w.capture.Stop() }

func (w *wire) has(what, pattern string) {
	w.t.Helper()
	if len(lab.Matching(w.packets, pattern)) == 0 {
		w.t.Errorf("%s: no packet %q: %s. There were:\n%s", w.where, pattern, what, texts(w.packets, 10))
	}
}

func (w *wire) hasNot(what, pattern string) {
	w.t.Helper()
	if found := lab.Matching(w.packets, pattern); len(found) > 0 {
		w.t.Errorf("%s: packets %q: %s:\n%s", w.where, pattern, what, texts(found, 5))
	}
}

func texts(packets []lab.Packet, most int) string {
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

// TestForwardDR: requests pass the director, which changes nothing but the frame's address; answers go from the real
// server to the client directly.
func TestForwardDR(t *testing.T) {
	t.Parallel()
	c := newCluster(t, shape{advert: "100ms"})
	c.answering()
	c.startAll()
	const filter = "tcp and host 10.77.0.100"
	client, director, server := tap(t, c.client, "eth0", filter), tap(t, c.master.Host, "eth0", filter), tap(t, c.mysql1.Host, "eth0", filter)
	held := lab.Hold(c.client, vipPort, 2)
	if alive := held.Alive(); alive["mysql1"] != 1 || alive["mysql2"] != 1 {
		t.Errorf("alive %v, want one connection on each real server", alive)
	}
	held.Close()
	client.stop()
	director.stop()
	server.stop()

	client.has("requests go to the director", `02:4c:0a:4d:00:32 > 02:4c:0a:4d:00:02, .* 10.77.0.50.\d+ > 10.77.0.100.3306: Flags \[S\]`)
	client.has("mysql1 answers directly", `02:4c:0a:4d:00:0b > 02:4c:0a:4d:00:32, .* 10.77.0.100.3306 > 10.77.0.50.\d+: Flags \[S\.\]`)
	client.has("mysql2 answers directly", `02:4c:0a:4d:00:0c > 02:4c:0a:4d:00:32, .* 10.77.0.100.3306 > 10.77.0.50.\d+: Flags \[S\.\]`)
	client.hasNot("nothing comes from the director", `^02:4c:0a:4d:00:02 > `)
	director.has("the request goes on to mysql1 with the VIP in it", `02:4c:0a:4d:00:02 > 02:4c:0a:4d:00:0b, .* 10.77.0.50.\d+ > 10.77.0.100.3306: Flags \[S\]`)
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

// TestForwardTUN: a real server in another subnet gets requests in IP in IP (protocol 4) and answers the client directly.
// The agent does everything on it; strict reverse path filtering, which distributions switch on, would drop them.
func TestForwardTUN(t *testing.T) {
	t.Parallel()
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
	server.Run("modprobe", "ipip") // the one thing that the agent leaves to the administrator, and says so
	lab.Answering(server.Host, ":3306", "far1")
	server.start()
	master.start()
	lab.Eventually(t, soon, func() error {
		if got := master.IPVS().Service(vipPort).Server("10.78.0.11:3306"); got.Forward != "Tunnel" || !master.holds() {
			return fmt.Errorf("not served yet: %+v", got)
		}
		return nil
	})
	outside, inside := tap(t, client, "eth0", "tcp port 3306 or icmp"), tap(t, server.Host, "eth0", "host 10.77.0.2 and ip proto 4 or tcp port 3306")
	held := lab.Hold(client, vipPort, 2)
	if alive := held.Alive(); alive["far1"] != 2 {
		t.Errorf("alive %v, want both", alive)
	}
	bigRequest(t, client)
	held.Close()
	outside.stop()
	inside.stop()
	t.Log(texts(outside.packets, 40), texts(inside.packets, 40))
	inside.has("the request comes in a tunnel from the director", ` 10.77.0.2 > 10.78.0.11: (IP )?10.77.0.50.\d+ > 10.77.0.100.3306: Flags \[S\]`)
	inside.has("the answer leaves outside the tunnel", `02:4c:0a:4e:00:0b > 02:4c:0a:4e:00:01, .*: 10.77.0.100.3306 > 10.77.0.50.\d+: Flags \[S\.\]`)
	outside.has("the answer comes by the router", `02:4c:0a:4d:00:01 > 02:4c:0a:4d:00:32, .* 10.77.0.100.3306 > 10.77.0.50.\d+: Flags \[S\.\]`)
	outside.hasNot("answers do not pass the director", `^02:4c:0a:4d:00:02 > .* 10.77.0.100.3306 > `)
	if table := master.IPVS().Service(vipPort).Server("10.78.0.11:3306"); table.Forward != "Tunnel" {
		t.Errorf("the table says %q, want Tunnel", table.Forward)
	}

	server.daemon.Stop()
	if server.HasAddress(vip) || server.SysctlValue("net.ipv4.conf.tunl0.rp_filter") != "1" || server.SysctlValue("net.ipv4.conf.all.arp_ignore") != "0" {
		t.Errorf("the stopped agent left something:\n%s", server.Run("ip", "addr"))
	}
}

// bigRequest sends more than fits into one packet of the tunnel: the director must tell the client the smaller size.
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

// readLine reads what an answering server says at once.
func readLine(t *testing.T, conn net.Conn) string {
	t.Helper()
	text := make([]byte, 64)
	n, err := conn.Read(text)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	return strings.TrimSpace(string(text[:n]))
}

// TestCheckRefusesAPortThatCannotBeChanged: only NAT rewrites ports; the file says so before anything runs.
func TestCheckRefusesAPortThatCannotBeChanged(t *testing.T) {
	t.Parallel()
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
