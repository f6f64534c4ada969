package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

// healthy waits until `lvsctl status --check` of each node prints OK and exits with 0: its daemon reports no problem,
// not even a warning. A problem that has been mended goes away within 5 s.
func healthy(t *testing.T, nodes ...*node) {
	t.Helper()
	for _, n := range nodes {
		lab.Eventually(t, 5*time.Second, func() error {
			out, err := n.ctl("status", "--check")
			if err != nil || !strings.HasPrefix(out, "OK: ") {
				return fmt.Errorf("lvsctl status --check of %s: %v %s, want OK and exit code 0", n.Name, err, out)
			}
			return nil
		})
	}
}

// warnsOnlyOfLocalServers waits until a director has no other problem than that real servers are directors too.
func warnsOnlyOfLocalServers(t *testing.T, d *node) {
	t.Helper()
	lab.Eventually(t, 5*time.Second, func() error {
		out, err := d.ctl("status", "--check")
		if lab.ExitCode(err) != 1 || !strings.HasPrefix(out, "WARNING: ") || strings.Count(out, "is director "+d.Name) != 1 || strings.Count(out, "mysql: ") != 1 {
			return fmt.Errorf("lvsctl status --check of %s: %v %s, want only the warning that it is a real server", d.Name, err, out)
		}
		return nil
	})
}

const oneMachineFile = `version: 1
directors:
  - {name: lvs-master, address: 10.77.0.2}
  - {name: lvs-backup, address: 10.77.0.3}
vrrp_instances:
  - {name: mysql, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [10.77.0.100],
     per_node: {lvs-master: {priority: 150}}}
virtual_servers:
  - name: mysql
    address: 10.77.0.100
    port: 3306
    scheduler: rr
    forward: dr
    checks: [{type: tcp, interval: 200ms, timeout: 150ms}]
    real_servers:
      - {name: lvs-master, address: 10.77.0.2}
      - {name: lvs-backup, address: 10.77.0.3}
`

// TestHealthyOnOneMachine: on two machines that are director and real server each, and whose kernel has no nf_tables for
// IPv4 and IPv6, the directors warn that some connections fail, which a client confirms, and no daemon reports another
// problem, whichever machine holds the VIP. Other scenarios look at the other worlds: DR (startAll), NAT, TUN, MySQL checks,
// keepalived as a peer.
//
// Proves docs/operations.md: "Without a problem it prints `OK` and exits with 0, on every node of a healthy cluster."
// Proves docs/virtual-servers.md: "Without nf_tables for both families some connections fail, and the status warns"
func TestHealthyOnOneMachine(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	n := lab.New(t)
	lan := n.Bridge("lan")
	file := n.File("cluster.yaml", oneMachineFile)
	client := n.Host("client", lan.At("10.77.0.50/24"))
	if out, err := client.Try(program(t, "lvsctl"), "check", file); err != nil || strings.Contains(out, "is director") {
		t.Errorf("lvsctl check: %v %s", err, out)
	}
	if _, err := client.Try("nft", "add table inet probe"); err == nil {
		// Only with labrun -kernel debian: the scenario runs on user-mode-linux in every long form.
		t.Skip("this kernel has nf_tables for IPv4 and IPv6: TestTwoMachines shows that no connection fails on it")
	}
	var directors, agents []*node
	for i, name := range []string{"lvs-master", "lvs-backup"} {
		host := n.Host(name, lan.At(fmt.Sprintf("10.77.0.%d/24", 2+i)))
		standin.Start(host, ":3306", name)
		agent := newNode(t, host, "lvs-realserver", file)
		agent.socket = host.Path("agent.sock")
		agent.start()
		director := newNode(t, host, "lvs-director", file)
		director.start()
		directors, agents = append(directors, director), append(agents, agent)
	}
	all := slices.Concat(directors, agents)
	for _, holder := range directors {
		lab.Eventually(t, soon, func() error {
			for _, d := range all[:len(all)-len(agents)] {
				if d.holds() != (d == holder) {
					return fmt.Errorf("the VIP is not on %s alone", holder.Name)
				}
				if err := tableHas(d, "10.77.0.2:3306", "10.77.0.3:3306"); err != nil {
					return err
				}
			}
			return nil
		})
		healthy(t, agents...)
		for _, d := range all[:len(all)-len(agents)] {
			warnsOnlyOfLocalServers(t, d)
		}
		if holder == directors[0] {
			m := measure.Start(client, vipPort, measure.Options{})
			m.WaitAnswered("lvs-master", soon)
			m.WaitAnswered("lvs-backup", soon)
			if result := m.Stop(); result.Failed() == 0 {
				t.Errorf("no connection failed, and the directors warn: %s", result)
			}
		}
		if holder == directors[0] {
			holder.daemon.Stop()
			all = slices.Concat(directors[1:], agents)
		}
	}
}
