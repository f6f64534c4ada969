package e2e

import (
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

const sourceFile = `version: 1
directors: [{name: lvs-master, address: 10.77.0.2}]
vrrp_instances:
  - {name: mysql, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [10.77.0.100]}
virtual_servers:
  - name: mysql
    address: 10.77.0.100
    port: 3306
    scheduler: rr
    forward: nat
    checks: [{type: tcp, interval: 200ms, timeout: 150ms}]
    real_servers: [{name: mysql1, address: 10.80.0.11}]
`

// TestProbesComeFromTheRoute: the real server is behind a router on a back network, and knows no way to the network of
// the director's own address. Probes come from the back network, also if the route prefers the VIP as its source. The
// key source changes that.
//
// Proves docs/checks.md: "Its source address is an address of the interface by which the route to the real server
// leaves, and never a VIP"
func TestProbesComeFromTheRoute(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	n := lab.New(t)
	front, back, far := n.Bridge("front"), n.Bridge("back"), n.Bridge("far")
	file := n.File("cluster.yaml", sourceFile)
	router := n.Host("router", back.At("10.79.0.254/24"), far.At("10.80.0.254/24"))
	router.Sysctl("net.ipv4.ip_forward", "1")
	server := n.Host("mysql1", far.At("10.80.0.11/24"))
	server.Run("ip", "route", "add", "10.79.0.0/24", "via", "10.80.0.254")
	standin.Start(server, ":3306", "mysql1")
	master := newNode(t, n.Host("lvs-master", front.At("10.77.0.2/24"), back.At("10.79.0.2/24")), "lvs-director", file)
	master.Run("ip", "route", "add", "10.80.0.0/24", "via", "10.79.0.254")
	master.start()
	lab.Eventually(t, soon, func() error { return tableHas(master, "10.80.0.11:3306") })
	arriving := capture.Start(server, "eth0", "tcp dst port 3306 and tcp[tcpflags] & tcp-syn != 0")
	arriving.Wait(`10\.79\.0\.2\.\d+ > 10\.80\.0\.11\.3306`, soon)

	lab.Eventually(t, soon, func() error { return holdsVIP(master) })
	mark := master.daemon.Mark()
	master.Run("ip", "route", "replace", "10.80.0.0/24", "via", "10.79.0.254", "src", "10.77.0.100")
	lab.Consistently(t, outWithin, func() error { return tableHas(master, "10.80.0.11:3306") })
	if log := mark.Log(); strings.Contains(log, "up=false") {
		t.Errorf("with the VIP as preferred source:\n%s", log)
	}

	n.File("cluster.yaml", strings.Replace(sourceFile, "type: tcp", "type: tcp, source: director", 1))
	if out, err := master.ctl("reload"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	mark.WaitLog("server=mysql/mysql1 up=false .*code=timeout", soon) // the answers do not find back
	arriving.Wait(`10\.77\.0\.2\.\d+ > 10\.80\.0\.11\.3306`, soon)
	n.File("cluster.yaml", strings.Replace(sourceFile, "type: tcp", "type: tcp, source: eth1", 1))
	if out, err := master.ctl("reload"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	lab.Eventually(t, soon, func() error { return tableHas(master, "10.80.0.11:3306") })
	for _, p := range arriving.Stop() {
		if strings.Contains(p.Text, "10.77.0.100.") {
			t.Errorf("a probe came from the VIP: %s", p.Text)
		}
	}
}
