package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// traffic returns what the status of a director has of its first virtual server and its real servers: connections, packets
// and bytes in both directions.
func (n *node) traffic() string {
	n.t.Helper()
	line := func(address string, port int, c *status.Traffic) string {
		if c == nil {
			return fmt.Sprintf("%s:%d nothing\n", address, port)
		}
		return fmt.Sprintf("%s:%d %d %d %d %d %d\n", address, port, c.Connections, c.PacketsIn, c.PacketsOut, c.BytesIn, c.BytesOut)
	}
	v := n.status().VirtualServers[0]
	text := line(v.Address, v.Port, v.Traffic)
	for _, r := range v.RealServers {
		text += line(r.Address, r.Port, r.Traffic)
	}
	return text
}

// counted is the same by ipvsadm(8).
func (n *node) counted() string {
	n.t.Helper()
	var text string
	for line := range strings.Lines(n.Run("ipvsadm", "-Ln", "--stats", "--exact", "-t", vipPort)) {
		if words := strings.Fields(line); len(words) == 7 && (words[0] == "TCP" || words[0] == "->" && words[1] != "RemoteAddress:Port") {
			text += strings.Join(words[1:], " ") + "\n"
		}
	}
	return text
}

// TestTraffic: the status has the kernel's counters of virtual servers and real servers; they survive kill -9 and adoption,
// and lvsctl zero sets them to zero.
//
// Proves docs/virtual-servers.md: "`lvsctl status -o json` has what the kernel has counted for each virtual server and real
// server"
// Proves docs/virtual-servers.md: "`lvsctl zero mysql` sets the counters of a virtual server and of its real servers to zero"
func TestTraffic(t *testing.T) {
	lab.Need(t, lab.IPVS)
	c := newNATCluster(t)
	for _, n := range []*node{c.servers[0], c.servers[1], c.master} {
		n.start()
	}
	c.awaitBoth(c.master)
	lab.Eventually(t, soon, func() error { return tableHas(c.master, "10.79.0.11:3307", "10.79.0.12:3307") })
	m := measure.Start(c.client, vipPort, measure.Options{})
	for _, name := range []string{"mysql1", "mysql2"} {
		m.WaitAnswered(name, soon)
	}
	lab.Eventually(t, soon, func() error { // the kernel computes rates every two seconds
		out, err := c.master.ctl("status")
		v := c.master.status().VirtualServers[0]
		if err != nil || v.Traffic == nil || v.Traffic.ConnectionRate == 0 || v.Traffic.ByteRateOut == 0 || v.RealServers[0].Traffic.PacketRateIn == 0 || !strings.Contains(out, "NEW/S") {
			return fmt.Errorf("%+v %v\n%s", v.Traffic, err, out)
		}
		return nil
	})
	m.Stop()
	same := func() error {
		counted, told := c.master.counted(), c.master.traffic()
		if lines := strings.Count(counted, "\n"); told != counted || lines != 3 || strings.Contains(told, " 0") {
			return fmt.Errorf("lvsctl status:\n%s\nipvsadm:\n%s", told, counted)
		}
		return nil
	}
	lab.Eventually(t, soon, same)
	before := c.master.counted()
	c.master.daemon.Kill()
	c.master.start().WaitLog("msg=directing", soon)
	lab.Eventually(t, soon, same)
	if now := c.master.counted(); now != before {
		t.Errorf("after kill -9 and a start the kernel has\n%s\nbefore\n%s", now, before)
	}
	c.master.mustCtl("zero", "mysql")
	lab.Eventually(t, soon, func() error { // of the last two seconds, the kernel adds what it has not summed up yet
		for line := range strings.Lines(c.master.counted()) {
			if words := strings.Fields(line); words[1] != "0" || words[2] != "0" || words[4] != "0" {
				return fmt.Errorf("not zero: %s", line)
			}
		}
		return nil
	})
}
