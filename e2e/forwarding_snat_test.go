package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

// snatFile has real servers in the network of their clients, without routes through the director, in both families. The address
// of clients outside of snat_clients stays.
const snatFile = `version: 1
directors: [{name: lvs-master, address: 10.77.0.2}]
vrrp_instances:
  - {name: web, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [10.77.0.100], excluded_addresses: ["fd00:77::100"]}
virtual_servers:
  - {name: web, address: 10.77.0.100, port: 80, scheduler: rr, forward: nat, snat_clients: [10.77.0.50], checks: &checks [{type: tcp, interval: 400ms, timeout: 350ms, rise: 1}], real_servers: [{name: mysql1, address: 10.77.0.11, port: 8080}]}
  - {name: web6, address: "fd00:77::100", port: 80, scheduler: rr, forward: nat, snat_clients: ["fd00:77::/64"], checks: *checks, real_servers: [{name: mysql1, address: "fd00:77::11", port: 8080}]}
`

// TestSNATClients: real servers that answer clients past the director serve those of snat_clients, whose address they do not
// see, and which see the VIP alone; of others they see the address, and these see theirs. The rules come back when another program
// removes them, and a stop removes them, no table of others, and gives the sysctl back.
//
// Proves docs/virtual-servers.md: "A real server then sees an address of the director instead of the client's"
func TestSNATClients(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.NFTables)
	lab.Long(t)
	c := newCluster(t, shape{})
	c.net.File("cluster.yaml", snatFile)
	for n, h := range []*lab.Host{c.master.Host, c.mysql1.Host, c.client} {
		h.Run("ip", "addr", "add", "fd00:77::"+[]string{"2", "11", "50"}[n]+"/64", "dev", "eth0", "nodad")
	}
	standin.Start(c.mysql1.Host, "[::]:8080", "mysql1")
	c.master.Run("nft", "add table inet theirs")
	c.master.start()
	lab.Eventually(t, soon, func() error { return holdsAll([]string{vip, "fd00:77::100"}, c.master.Host) })
	wire, client := tap(t, c.mysql1.Host, "eth0", "tcp port 8080"), tap(t, c.client, "eth0", "tcp")
	c.replaced()
	c.master.Run("nft", "flush ruleset")
	c.master.Run("nft", "add table inet theirs")
	c.replaced()
	c.client.Run("ip", "addr", "add", "10.77.0.51/24", "dev", "eth0")
	c.client.Run("ip", "route", "add", vip+"/32", "dev", "eth0", "src", "10.77.0.51")
	if _, err := c.client.Try("timeout", "2", "bash", "-c", "exec 3<>/dev/tcp/"+vip+"/80"); err == nil {
		t.Error("a client whose address stays is answered, although its answers bypass the director")
	}
	healthy(t, c.master)
	wire.stop()
	client.stop()
	wire.has("the director's address", ` 10\.77\.0\.2\.[0-9]+ > 10\.77\.0\.11\.8080: Flags \[S\]`)
	wire.has("the director's address", ` fd00:77::2\.[0-9]+ > fd00:77::11\.8080: Flags \[S\]`)
	wire.hasNot("no client's address", `(10\.77\.0\.50|fd00:77::50)\.[0-9]+ > `)
	wire.has("the address of another client", ` 10\.77\.0\.51\.[0-9]+ > 10\.77\.0\.11\.8080: Flags \[S\]`)
	for _, family := range []struct{ client, vip, server string }{{`10\.77\.0\.50`, `10\.77\.0\.100`, `10\.77\.0\.11`}, {`fd00:77::50`, `fd00:77::100`, `fd00:77::11`}} {
		client.has("the director answers for the VIP", "^"+c.master.mac()+` > .* `+family.vip+`\.80 > `+family.client+`\.[0-9]+: Flags \[S\.\]`)
		client.hasNot("nothing comes from the real server itself", ` `+family.server+`\.8080 > `+family.client+`\.`)
		client.hasNot("the real server does not answer for the VIP", "^"+c.mysql1.mac()+` > .* > `+family.client+`\.`)
	}
	client.has("another client is answered by the real server, to which it has not connected", "^"+c.mysql1.mac()+` > .* 10\.77\.0\.11\.8080 > 10\.77\.0\.51\.[0-9]+: Flags \[S\.\]`)
	client.hasNot("the director does not answer another client", ` 10\.77\.0\.100\.80 > 10\.77\.0\.51\.`)
	c.master.daemon.Stop()
	if out := c.master.Run("nft", "list", "tables"); out != "table inet theirs\n" {
		t.Errorf("after the stop there is %s", out)
	}
	if out := c.master.Run("sysctl", "-n", "net.ipv4.vs.conntrack"); out != "0\n" {
		t.Errorf("after the stop net.ipv4.vs.conntrack is %s", out)
	}
}

// replaced waits for the rules, and lets clients of both families talk to the real server by them.
func (c *cluster) replaced() {
	c.t.Helper()
	lab.Eventually(c.t, soon, func() error {
		if out, err := c.master.Try("nft", "list", "table", "inet", "lvs_director_source_nat"); err != nil || strings.Count(out, "masquerade") != 2 {
			return fmt.Errorf("the rules are not there: %v %s", err, out)
		}
		return nil
	})
	for _, at := range []string{vip, "fd00:77::100"} {
		const talk = "exec 3<>/dev/tcp/%s/80; for n in 1 2 3; do read -t 5 -u 3 name; echo $name; echo x >&3; done"
		if out, err := c.client.Try("timeout", "20", "bash", "-c", fmt.Sprintf(talk, at)); err != nil || out != "mysql1\nmysql1\nmysql1\n" {
			c.t.Errorf("%s answers %q: %v", at, out, err)
		}
	}
	if out := c.master.Run("nft", "list", "table", "inet", "lvs_director_source_nat"); strings.Contains(out, "counter packets 0 ") {
		c.t.Errorf("a rule has replaced no address: %s", out)
	}
}
