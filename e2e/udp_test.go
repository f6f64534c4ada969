package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

// udpFile has a TCP and two UDP services on the same address, the second of which schedules each packet by itself. The checks
// connect by TCP.
const udpFile = `version: 1
directors: [{name: lvs-master, address: 10.77.0.2}]
vrrp_instances: [{name: dns, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [10.77.0.100]}]
virtual_servers:
  - {name: dns-tcp, address: 10.77.0.100, port: 53, scheduler: rr, forward: dr, checks: &checks [{type: tcp, port: 53, interval: 400ms, timeout: 350ms, rise: 1}], real_servers: &servers [
      {name: mysql1, address: 10.77.0.11}, {name: mysql2, address: 10.77.0.12}]}
  - {name: dns, address: 10.77.0.100, port: 53, protocol: udp, scheduler: rr, forward: dr, checks: *checks, real_servers: *servers}
  - {name: packets, address: 10.77.0.100, port: 54, protocol: udp, one_packet: true, scheduler: rr, forward: dr, checks: *checks, real_servers: *servers}
`

// TestUDP: UDP services beside a TCP service on the same address and port: clients of both are answered, packets of one client
// go to one real server, or, with one_packet, to each in turn. The agent finds a service that does not receive on the VIP.
//
// Proves docs/virtual-servers.md: "With UDP all packets from one address and port are a connection, until there was none for five minutes"
func TestUDP(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c := newCluster(t, shape{})
	c.net.File("cluster.yaml", udpFile)
	for _, n := range []*node{c.mysql1, c.mysql2} {
		n.start()
		lab.Eventually(t, soon, func() error {
			if out := n.Run("ip", "-4", "addr", "show", "dev", "lo"); !strings.Contains(out, vip+"/32") {
				return fmt.Errorf("%s has no VIP on lo: %s", n.Name, out)
			}
			return nil
		})
		standin.Start(n.Host, ":53", n.Name)
		standin.StartPackets(n.Host, vip+":54", n.Name)
	}
	standin.StartPackets(c.mysql1.Host, vip+":53", "mysql1")
	wrong := standin.StartPackets(c.mysql2.Host, "10.77.0.12:53", "mysql2")
	c.master.start()
	for port, protocol := range map[string]string{"53": "UDP", "54": "UDP"} {
		lab.Eventually(t, soon, func() error {
			for _, s := range c.master.table().Services {
				if s.Protocol == protocol && s.Address == vip+":"+port && len(s.Servers) == 2 {
					return nil
				}
			}
			return fmt.Errorf("%s %s is not served: %+v", protocol, port, c.master.table().Services)
		})
	}
	lab.Eventually(t, soon, func() error { return holdsAll([]string{vip}, c.master.Host) })
	if got := c.master.Run("ipvsadm", "-Sn"); !strings.Contains(got, "-A -u 10.77.0.100:53 -s rr\n") || !strings.Contains(got, "-A -u 10.77.0.100:54 -s rr -o\n") {
		t.Errorf("the table is\n%s", got)
	}

	lab.Eventually(t, soon, func() error {
		out, err := c.mysql2.ctl("status", "--check")
		if lab.ExitCode(err) != 2 || !strings.Contains(out+fmt.Sprint(err), "dns: nothing listens on 10.77.0.100:53, only on 10.77.0.12:53") {
			return fmt.Errorf("status --check of mysql2: %v %s, want CRITICAL for the service that does not receive on the VIP", err, out)
		}
		return nil
	})
	wrong.Stop()
	standin.StartPackets(c.mysql2.Host, vip+":53", "mysql2")
	lab.Eventually(t, soon, func() error {
		_, err := c.mysql2.ctl("status", "--check")
		return err
	})

	for range 4 {
		if got := c.asked("53", 3); got[0] == "" || got[1] != got[0] || got[2] != got[0] {
			t.Errorf("packets of one client are answered by %v, want one server", got)
		}
	}
	if got := c.asked("54", 4); got[0] == "" || got[0] == got[1] || got[0] != got[2] || got[1] != got[3] {
		t.Errorf("with one_packet packets are answered by %v, want each server in turn", got)
	}
	if out, err := c.client.Try("bash", "-c", "exec 3<>/dev/tcp/10.77.0.100/53; read -t 5 -u 3 name; echo $name"); err != nil || !strings.HasPrefix(out, "mysql") {
		t.Errorf("the TCP service on the same port: %v %s", err, out)
	}
	healthy(t, c.master, c.mysql1, c.mysql2)
}

// asked sends packets from one port, each after the answer to the one before, and returns who answered.
func (c *cluster) asked(port string, count int) []string {
	c.t.Helper()
	script := fmt.Sprintf("exec 3<>/dev/udp/10.77.0.100/%s; for n in $(seq %d); do echo question >&3; timeout 5 dd bs=512 count=1 status=none <&3 || echo nobody; done", port, count)
	out, err := c.client.Try("bash", "-c", script)
	if err != nil {
		c.t.Errorf("ask port %s: %v", port, err)
	}
	answers := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	return append(answers, make([]string, count)...)[:count]
}
