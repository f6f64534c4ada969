package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

// twoMachines are directors that are real servers too, with their agents.
type twoMachines struct {
	t                 *testing.T
	client            *lab.Host
	directors, agents []*node
}

func newTwoMachines(t *testing.T, file string) twoMachines {
	n := lab.New(t)
	lan := n.Bridge("lan")
	path := n.File("cluster.yaml", file)
	m := twoMachines{t: t, client: n.Host("client", lan.At("10.77.0.50/24"))}
	for i, name := range []string{"lvs-master", "lvs-backup"} {
		host := n.Host(name, lan.At(fmt.Sprintf("10.77.0.%d/24", 2+i)))
		standin.Start(host, ":3306", name)
		agent := newNode(t, host, "lvs-realserver", path)
		agent.socket = host.Path("agent.sock")
		agent.start()
		director := newNode(t, host, "lvs-director", path)
		director.start()
		m.directors, m.agents = append(m.directors, director), append(m.agents, agent)
	}
	return m
}

// awaitHolder waits until one machine holds the VIP on its NIC, and both have both real servers.
func (m twoMachines) awaitHolder(holder *node) {
	m.t.Helper()
	lab.Eventually(m.t, soon, func() error {
		for _, d := range m.directors {
			if d.holds() != (d == holder) {
				return fmt.Errorf("the VIP is not on %s alone", holder.Name)
			}
			if err := tableHas(d, "10.77.0.2:3306", "10.77.0.3:3306"); err != nil {
				return err
			}
		}
		return nil
	})
}

// serve judges both machines under load: both serve, no connection fails, and the BACKUP sends nothing back to the holder. Programs
// of either machine get its own real server. Neither drops resets of its real server, which one that was rebooted sends.
func (m twoMachines) serve(holder *node) {
	m.t.Helper()
	m.awaitHolder(holder)
	healthy(m.t, slices.Concat(m.directors, m.agents)...)
	other := m.directors[0]
	if other == holder {
		other = m.directors[1]
	}
	back := capture.Start(holder.Host, "eth0", "tcp and dst host "+vip+" and ether src "+other.hardwareAddr())
	for _, d := range m.directors {
		d.awaitTakeOverRules(false)
	}
	load := measure.Start(m.client, vipPort, measure.Options{})
	for range 20 {
		for _, d := range m.directors {
			load.WaitAnswered(d.Name, soon)
		}
	}
	for _, d := range m.directors {
		for range 3 {
			out, err := d.Try("bash", "-c", "exec 3<>/dev/tcp/"+vip+"/3306; read -t 5 -u 3 name; echo $name")
			if strings.TrimSpace(out) != d.Name {
				m.t.Errorf("a program on %s is answered by %q, %v", d.Name, out, err)
			}
		}
	}
	result := load.Stop()
	if result.Failed() > 0 {
		m.t.Errorf("%s holds the VIP: %s", holder.Name, result)
	}
	if sent := back.Stop(); len(sent) > 0 {
		m.t.Errorf("%s sent %d packets to the VIP back to %s, the first %s", other.Name, len(sent), holder.Name, sent[0].Text)
	}
}

// awaitsVIP waits until a director has the VIP on its NIC.
func (n *node) awaitsVIP() {
	n.t.Helper()
	lab.Eventually(n.t, soon, func() error {
		if !n.holds() {
			return fmt.Errorf("%s does not hold the VIP", n.Name)
		}
		return nil
	})
}

func (n *node) hardwareAddr() string {
	return strings.TrimSpace(n.Run("cat", "/sys/class/net/eth0/address"))
}

// TestTwoMachines: on two machines that are director and real server each no connection fails, whichever holds the VIP; no
// packet is sent back by the BACKUP. A kill and a return under load cost what they cost with separate machines, and nothing after
// the VIP has moved. Rules and virtual servers of local delivery that another program removes come back; a machine without its
// agent's VIP is CRITICAL; and nothing is left at the end.
//
// Proves docs/virtual-servers.md: "a director that is BACKUP delivers to its own real server what the MASTER sends it"
// Proves docs/failover.md: "On a machine that is itself a real server for the address the rules are there for these 2 s only"
func TestTwoMachines(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.NFTables)
	lab.Long(t)
	m := newTwoMachines(t, oneMachineFile+"connection_sync: {}\n")
	first, second := m.directors[0], m.directors[1]
	m.serve(first)
	second.Run("nft", "flush", "ruleset")
	second.Run("ipvsadm", "-D", "-f", "5002835")
	second.daemon.WaitLog("packet filter table was changed by another program", soon)
	second.daemon.WaitLog("ipvsadm -A -f 5002835", soon)
	m.serve(first)

	load := measure.Start(m.client, vipPort, measure.Options{})
	load.WaitAnswered("", soon)
	first.daemon.Kill()
	second.awaitsVIP()
	moved := time.Now()
	load.WaitAnswered("lvs-master", soon) // by its agent's VIP
	load.WaitAnswered("lvs-backup", soon)
	if after := load.Stop().Since(moved.Add(time.Second)); after.Failed() > 0 {
		t.Errorf("after the kill and a second of the new MASTER: %s", after)
	}
	load = measure.Start(m.client, vipPort, measure.Options{})
	first.start()
	m.awaitHolder(first)
	moved = time.Now()
	for range 20 {
		load.WaitAnswered("lvs-backup", soon)
	}
	if after := load.Stop().Since(moved.Add(time.Second)); after.Failed() > 0 {
		t.Errorf("after the return: %s", after)
	}
	m.serve(first)

	m.agents[1].daemon.Stop()
	lab.Eventually(t, soon, func() error {
		out, err := second.ctl("status", "--check")
		if lab.ExitCode(err) != 2 || !strings.Contains(out, "no interface has it: connections that the MASTER sends here get no answer") {
			return fmt.Errorf("lvsctl status --check without the agent: %v %s, want exit code 2 and the reason", err, out)
		}
		return nil
	})
	m.agents[1].start()
	m.serve(first)
	first.daemon.Stop()
	m.serveAlone(second)
}

// serveAlone judges the last director, and that the other one has left nothing.
func (m twoMachines) serveAlone(last *node) {
	m.t.Helper()
	last.awaitsVIP()
	m.directors[0].awaitMarks(false)
	if out := m.directors[0].Run("ipvsadm", "-Sn"); out != "" {
		m.t.Errorf("after the stop the table is %s", out)
	}
	load := measure.Start(m.client, vipPort, measure.Options{})
	for _, d := range m.directors {
		load.WaitAnswered(d.Name, soon)
	}
	load.Stop()
}
