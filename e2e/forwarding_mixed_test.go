package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

const mixedFile = `version: 1
directors: [{name: lvs-master, address: 10.77.0.2}]
vrrp_instances:
  - {name: outer, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [10.77.0.100]}
  - {name: inner, interface: eth1, virtual_router_id: 52, advert_interval: 100ms, virtual_addresses: [10.79.0.1]}
timeouts: {tcp: 8h}
virtual_servers:
  - name: mysql
    address: 10.77.0.100
    port: 3306
    scheduler: rr
    forward: tun
    checks: [{type: tcp, interval: 400ms, timeout: 350ms}]
    real_servers:
      - {name: dr1, address: 10.77.0.11, forward: dr}
      - {name: nat1, address: 10.79.0.21, forward: nat, port: 3307}
      - {name: ipip1, address: 10.79.0.31}
      - {name: gre1, address: 10.79.0.41, tunnel: {type: gre}}
      - {name: gre2, address: 10.79.0.42, tunnel: {type: gre, checksum: full}}
      - {name: gue1, address: 10.79.0.51, tunnel: {type: gue, port: 5555}}
      - {name: gue2, address: 10.79.0.52, tunnel: {type: gue, port: 5556, checksum: full}}
      - {name: gue3, address: 10.79.0.53, tunnel: {type: gue, port: 5555, checksum: remote}}
`

// mixedTable is what ipvsadm -Sn prints of it.
const mixedTable = `-A -t 10.77.0.100:3306 -s rr
-a -t 10.77.0.100:3306 -r 10.77.0.11:3306 -g -w 1
-a -t 10.77.0.100:3306 -r 10.79.0.21:3307 -m -w 1
-a -t 10.77.0.100:3306 -r 10.79.0.31:3306 -i -w 1 --tun-type ipip
-a -t 10.77.0.100:3306 -r 10.79.0.41:3306 -i -w 1 --tun-type gre --tun-nocsum
-a -t 10.77.0.100:3306 -r 10.79.0.42:3306 -i -w 1 --tun-type gre --tun-csum
-a -t 10.77.0.100:3306 -r 10.79.0.51:3306 -i -w 1 --tun-type gue --tun-port 5555 --tun-nocsum
-a -t 10.77.0.100:3306 -r 10.79.0.52:3306 -i -w 1 --tun-type gue --tun-port 5556 --tun-csum
-a -t 10.77.0.100:3306 -r 10.79.0.53:3306 -i -w 1 --tun-type gue --tun-port 5555 --tun-remcsum
`

// mixed is a virtual server whose real servers have every forwarding method and tunnel.
type mixed struct {
	t       *testing.T
	client  *lab.Host
	master  *node
	servers map[string]*node
}

func newMixed(t *testing.T) *mixed {
	t.Helper()
	n := lab.New(t)
	outer, inner := n.Bridge("outer"), n.Bridge("inner")
	file := n.File("cluster.yaml", mixedFile)
	m := &mixed{t: t, servers: map[string]*node{}, client: n.Host("client", outer.At("10.77.0.50/24"))}
	router := n.Host("router", outer.At("10.77.0.1/24"), inner.At("10.79.0.254/24")) // for the answers of tunnels
	router.Sysctl("net.ipv4.ip_forward", "1")
	m.master = newNode(t, n.Host("lvs-master", outer.At("10.77.0.2/24"), inner.At("10.79.0.2/24")), "lvs-director", file)
	m.master.Run("modprobe", "-a", "ipip", "ip_gre", "fou")
	server := func(name string, address string, at *lab.Bridge, gateway string) {
		m.servers[name] = newNode(t, n.Host(name, at.At(address+"/24")), "lvs-realserver", file)
		port := ":3306"
		if name == "nat1" {
			port = ":3307"
		}
		standin.Start(m.servers[name].Host, port, name)
		if gateway != "" {
			m.servers[name].Gateway(gateway)
		}
	}
	server("dr1", "10.77.0.11", outer, "")
	server("nat1", "10.79.0.21", inner, "10.79.0.1")
	for name, address := range map[string]string{"ipip1": "31", "gre1": "41", "gre2": "42", "gue1": "51", "gue2": "52", "gue3": "53"} {
		server(name, "10.79.0."+address, inner, "10.79.0.254")
	}
	for name, port := range map[string]string{"gue1": "5555", "gue2": "5556", "gue3": "5555"} {
		m.servers[name].Run("ip", "fou", "add", "port", port, "gue")
	}
	m.servers["gre2"].Run("ip", "link", "add", "grecsum0", "type", "gre", "local", "10.79.0.42", "csum")
	return m
}

// rule returns the table by ipvsadm(8), sorted.
func rule(h *lab.Host) string {
	lines := strings.SplitAfter(h.Run("ipvsadm", "-Sn"), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "")
}

func (m *mixed) complete() error {
	if now := rule(m.master.Host); now != mixedTable {
		return fmt.Errorf("the table is\n%s\nwant\n%s", now, mixedTable)
	}
	return nil
}

// TestForwardMixed: the real servers of a virtual server have every forwarding method and tunnel. Each packet is sent on as
// the method says, each client is answered, and a start after kill -9 adopts the table.
//
// Proves docs/packet-flow.md: "The real servers of one virtual server may have several forwarding methods"
// Proves docs/packet-flow.md: "GRE packets arrive on `gre0`, those of GUE on `tunl0`"
// Proves docs/agent.md: "a GUE port that nothing receives"
func TestForwardMixed(t *testing.T) {
	lab.Need(t, lab.IPVS)
	m := newMixed(t)
	for _, n := range m.servers {
		n.start()
	}
	m.master.start()
	lab.Eventually(t, soon, m.complete)
	healthy(t, m.master, m.servers["dr1"], m.servers["nat1"], m.servers["ipip1"], m.servers["gre1"], m.servers["gue1"])

	taps := map[string]*wire{}
	for name, n := range m.servers {
		taps[name] = tap(t, n.Host, "eth0", "tcp port 3307 and host 10.77.0.50 or ip proto 4 or ip proto 47 or udp or tcp port 3306")
	}
	conns := measure.OpenConnections(m.client, vipPort, 2*len(m.servers))
	for name := range m.servers {
		if alive := conns.Alive()[name]; alive != 2 {
			t.Errorf("%s answered %d of 2 connections: %v", name, alive, conns.Errors())
		}
	}
	for _, w := range taps {
		w.stop()
	}
	const inside = `10.77.0.50.\d+ > 10.77.0.100.3306: Flags \[S\]`
	for name, pattern := range map[string]string{
		"dr1":   `02:4c:0a:4d:00:02 > 02:4c:0a:4d:00:0b, .*: ` + inside,
		"nat1":  `02:4c:0a:4f:00:02 > 02:4c:0a:4f:00:15, .*10.77.0.50.\d+ > 10.79.0.21.3307: Flags \[S\]`,
		"ipip1": ` 10.79.0.2 > 10.79.0.31: (IP )?` + inside,
		"gre1":  ` 10.79.0.2 > 10.79.0.41: GREv0, (Flags \[none\], )?.*` + inside,
		"gre2":  ` 10.79.0.2 > 10.79.0.42: GREv0, (Flags \[checksum present\], )?.*` + inside,
		"gue1":  ` 10.79.0.2.\d+ > 10.79.0.51.5555: UDP`,
		"gue2":  ` 10.79.0.2.\d+ > 10.79.0.52.5556: .*UDP`,
		"gue3":  ` 10.79.0.2.\d+ > 10.79.0.53.5555: UDP`,
	} {
		taps[name].has("how the request arrives", pattern)
		if name != "nat1" {
			taps[name].has("the answer has the VIP as source", ` 10.77.0.100.3306 > 10.77.0.50.\d+: Flags \[S\.\]`)
		}
	}

	m.master.daemon.Kill()
	again := m.master.start()
	again.WaitLog("msg=directing", soon)
	lab.Eventually(t, soon, func() error { return tableUp(m.master) })
	if strings.Contains(again.Log(), "change=") || m.complete() != nil {
		t.Errorf("the table was not adopted: %v\n%s", m.complete(), again.Log())
	}
	for name := range m.servers {
		if alive := conns.Alive()[name]; alive != 2 {
			t.Errorf("after kill -9: %s answers %d of 2 connections: %v", name, alive, conns.Errors())
		}
	}
	m.closesTunnel()
}

// tableUp reports whether a director says that its first virtual server is up.
func tableUp(n *node) error {
	if v := n.status().VirtualServers; len(v) != 1 || v[0].State != "up" {
		return fmt.Errorf("not up: %+v", v)
	}
	return nil
}

// closesTunnel closes a port of GUE: the agent reports it until it is open again.
func (m *mixed) closesTunnel() {
	m.t.Helper()
	gue := m.servers["gue1"]
	gue.Run("ip", "fou", "del", "port", "5555")
	lab.Eventually(m.t, soon, func() error {
		out, err := gue.ctl("status", "--check")
		if lab.ExitCode(err) != 2 || !strings.Contains(out, "nothing receives GUE on UDP port 5555") {
			return fmt.Errorf("lvsctl status --check without the port: %v %s", err, out)
		}
		return nil
	})
	gue.Run("ip", "fou", "add", "port", "5555", "gue")
	lab.Eventually(m.t, soon, func() error {
		out, err := gue.ctl("status", "--check")
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
}
