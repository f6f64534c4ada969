package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

// manyPortsFile has a group of addresses and ports, a virtual server of every port, one with a persistence engine, and one of SCTP.
const manyPortsFile = `version: 1
directors: [{name: lvs-master, address: 10.77.0.2}]
vrrp_instances: [{name: mysql, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [10.77.0.100, 10.77.0.101, 10.77.0.102, 10.77.0.103]}]
virtual_servers:
  - {name: group, addresses: [10.77.0.100, 10.77.0.101], ports: [3306-3307, 3309], scheduler: rr, forward: dr, checks: [{type: tcp, interval: 400ms, timeout: 350ms, rise: 1}], real_servers: [
      {name: mysql1, address: 10.77.0.11, weight: 3}, {name: mysql2, address: 10.77.0.12}]}
  - {name: mapped, address: 10.77.0.103, ports: 81-82, scheduler: rr, forward: nat, checks: &checks [{type: tcp, port: 3306, interval: 400ms, timeout: 350ms, rise: 1}], real_servers: [
      {name: mysql1, address: 10.77.0.11}, {name: mysql2, address: 10.77.0.12, port: 8080}]}
  - {name: every, address: 10.77.0.102, port: 0, persistence: {timeout: 50s, netmask: 24}, scheduler: rr, forward: dr, checks: *checks, real_servers: &servers [
      {name: mysql1, address: 10.77.0.11}, {name: mysql2, address: 10.77.0.12}]}
  - {name: calls, address: 10.77.0.103, port: 5060, protocol: udp, persistence: {timeout: 50s, netmask: 24, engine: sip}, scheduler: rr, forward: dr, checks: *checks, real_servers: *servers}
  - {name: diameter, address: 10.77.0.103, port: 3868, protocol: sctp, scheduler: rr, forward: dr, checks: *checks, real_servers: *servers}
`

// manyPortsCommands make the same table.
func manyPortsCommands() (all []string) {
	service := func(vip, keys string, servers ...string) {
		all = append(all, "-A "+vip+" "+keys)
		for _, s := range servers {
			all = append(all, "-a "+vip+" -r "+s)
		}
	}
	for _, address := range []string{"10.77.0.100", "10.77.0.101"} {
		for _, port := range []string{"3306", "3307", "3309"} {
			service("-t "+address+":"+port, "-s rr", "10.77.0.11:"+port+" -g -w 3", "10.77.0.12:"+port+" -g")
		}
	}
	service("-t 10.77.0.103:81", "-s rr", "10.77.0.11:81 -m", "10.77.0.12:8080 -m")
	service("-t 10.77.0.103:82", "-s rr", "10.77.0.11:82 -m", "10.77.0.12:8080 -m")
	service("-t 10.77.0.102:0", "-s rr -p 50 -M 255.255.255.0", "10.77.0.11:0 -g", "10.77.0.12:0 -g")
	service("-u 10.77.0.103:5060", "-s rr -p 50 -M 255.255.255.0 --pe sip", "10.77.0.11:5060 -g", "10.77.0.12:5060 -g")
	service("--sctp-service 10.77.0.103:3868", "-s rr", "10.77.0.11:3868 -g", "10.77.0.12:3868 -g")
	return all
}

// TestManyPorts: the services of a group, of every port, of SIP and of SCTP are what ipvsadm makes of the same settings, also after
// a kill -9. Clients are answered at all of them, the ones of every port stay on a server, and packets of a call go to one server
// from whichever address of the netmask they come. A real server is checked once, however many services it has.
//
// Proves docs/virtual-servers.md: "Each address with each port is a service of its own in the kernel's table, and each real
// server is checked once for all of them."
func TestManyPorts(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c := newCluster(t, shape{})
	c.net.File("cluster.yaml", manyPortsFile)
	for _, n := range []*node{c.mysql1, c.mysql2} {
		n.Gateway("10.77.0.100") // for the answers of forward: nat
		n.start()
		lab.Eventually(t, soon, func() error {
			if out := n.Run("ip", "-4", "addr", "show", "dev", "lo"); strings.Count(out, "/32") != 4 {
				return fmt.Errorf("%s has no VIPs on lo: %s", n.Name, out)
			}
			return nil
		})
		for _, address := range []string{":3306", ":3307", ":3309", ":81", ":82", ":8080"} {
			standin.Start(n.Host, address, n.Name)
		}
		standin.StartPackets(n.Host, "10.77.0.103:5060", n.Name)
		answerSCTP(t, n.Host, "10.77.0.103", 3868)
	}
	c.startTwice(sameAs(c, manyPortsCommands()))
	lab.Eventually(t, soon, func() error {
		return holdsAll([]string{"10.77.0.100", "10.77.0.101", "10.77.0.102", "10.77.0.103"}, c.master.Host)
	})

	checks := capture.Start(c.master.Host, "eth0", "src host 10.77.0.2 and dst host 10.77.0.11 and tcp[tcpflags] = tcp-syn")
	for _, address := range []string{"10.77.0.100", "10.77.0.101"} {
		for _, port := range []string{"3306", "3307", "3309"} {
			one, two := c.greeted(address, port), c.greeted(address, port)
			if one == "" || two == "" || one == two {
				t.Errorf("%s:%s is answered by %q and %q, want one after the other", address, port, one, two)
			}
		}
	}
	if one, two, three := c.greeted("10.77.0.102", "3306"), c.greeted("10.77.0.102", "3307"), c.greeted("10.77.0.102", "8080"); one == "" || one != two || one != three {
		t.Errorf("ports of every port are answered by %q, %q and %q, want one server", one, two, three)
	}
	c.callsStay()
	c.associationsPass()
	lab.Eventually(t, soon, func() error {
		if n := len(checks.Packets()); n < 8 {
			return fmt.Errorf("%d checks", n)
		}
		return nil
	})
	if ports := capture.Matching(checks.Stop(), `> 10\.77\.0\.11\.(3307|3309|81|82|8080|3868|5060):`); len(ports) > 0 {
		t.Errorf("checks of ports that are not the first one: %s", texts(ports, 5))
	}
	healthy(t, c.master, c.mysql1, c.mysql2)
	c.ctlPrints(c.master, 0, `VIRTUAL SERVER group  tcp 10.77.0.100,10.77.0.101 ports 3306-3307,3309 `, "status")
}

// startTwice starts the director, kills it when its table is as it should be, and starts it again: it finds the table, and changes
// nothing in it.
func (c *cluster) startTwice(same func() error) {
	c.t.Helper()
	first := c.master.start()
	lab.Eventually(c.t, soon, same)
	first.Kill()
	again := c.master.start()
	again.WaitLog("msg=directing", soon)
	lab.Eventually(c.t, soon, same)
	if log := again.Log(); strings.Contains(log, "change=") {
		c.t.Errorf("the table that was found was changed:\n%s", log)
	}
}

// sameAs returns a function that compares the director's table with what ipvsadm makes of commands.
func sameAs(c *cluster, commands []string) func() error {
	other := c.net.Host("other", c.lan.At("10.77.0.60/24"))
	for _, command := range commands {
		other.Run(append([]string{"ipvsadm"}, strings.Fields(command)...)...)
	}
	return func() error {
		if want, got := sorted(other.Run("ipvsadm", "-Sn")), sorted(c.master.Run("ipvsadm", "-Sn")); want != got {
			return fmt.Errorf("ipvsadm -Sn\n%s\nwant\n%s", got, want)
		}
		return nil
	}
}

// greeted returns which server answers a client's new connection.
func (c *cluster) greeted(address, port string) string {
	c.t.Helper()
	out, err := c.client.Try("bash", "-c", fmt.Sprintf("exec 3<>/dev/tcp/%s/%s; read -t 5 -u 3 name; echo $name", address, port))
	if err != nil {
		c.t.Errorf("connect to %s port %s: %v", address, port, err)
	}
	return strings.TrimSpace(out)
}

// callsStay: packets of a call from two addresses go to one server, other calls to both.
func (c *cluster) callsStay() {
	c.t.Helper()
	c.client.Run("ip", "addr", "add", "10.77.0.51/24", "dev", "eth0")
	const script = `ip route replace 10.77.0.103/32 dev eth0 src %s; exec 3<>/dev/udp/10.77.0.103/5060; ` +
		`printf 'INVITE sip:bob@example.com SIP/2.0\r\nCall-ID: %s@example.com\r\nCSeq: 1 INVITE\r\n\r\n' | dd bs=512 status=none iflag=fullblock >&3; timeout 5 dd bs=512 count=1 status=none <&3`
	call := func(from, id string) string {
		out, err := c.client.Try("bash", "-c", fmt.Sprintf(script, from, id))
		if err != nil {
			c.t.Errorf("call %s from %s: %v", id, from, err)
		}
		return strings.TrimSpace(out)
	}
	all := map[string]bool{}
	for n := range 4 {
		id := fmt.Sprintf("call%d", n)
		one, two := call("10.77.0.50", id), call("10.77.0.51", id)
		if one == "" || one != two {
			c.t.Errorf("packets of call %s are answered by %q and %q, want one server", id, one, two)
		}
		all[one] = true
	}
	if len(all) != 2 {
		c.t.Errorf("all calls are answered by %v, want both servers", all)
	}
}

// associationsPass: SCTP associations go through the director to both servers, and the answers come from them directly.
func (c *cluster) associationsPass() {
	c.t.Helper()
	packets := capture.Start(c.client, "eth0", "sctp", "-e")
	all := map[string]bool{}
	for range 4 {
		name, err := askSCTP(c.client, "10.77.0.103", 3868)
		if err != nil {
			c.t.Errorf("an SCTP association: %v", err)
		}
		all[name] = true
	}
	if !all["mysql1"] || !all["mysql2"] {
		c.t.Errorf("SCTP associations are answered by %v, want both servers", all)
	}
	packets.Wait(`> `+c.master.mac()+`.*10\.77\.0\.103\.3868: sctp .*INIT\]`, soon)
	for _, n := range []*node{c.mysql1, c.mysql2} {
		packets.Wait(n.mac()+` > .*10\.77\.0\.103\.3868 > .*INIT ACK`, soon)
	}
	packets.Stop()
}

const sctpPatience = 5 * time.Second
