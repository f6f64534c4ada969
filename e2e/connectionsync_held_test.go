package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// heldPair is a pair of directors whose standby has not been booted yet.
type heldPair struct {
	client         *lab.Host
	master, backup *node
	await          func(n *node) // until it has all virtual addresses
}

// heldPairs are the pairs of each forwarding method, with their servers started.
var heldPairs = map[string]func(t *testing.T, preempt bool) heldPair{
	"dr":  func(t *testing.T, preempt bool) heldPair { return heldOnOneLAN(t, "dr", preempt) },
	"tun": func(t *testing.T, preempt bool) heldPair { return heldOnOneLAN(t, "tun", preempt) },
	"nat": func(t *testing.T, preempt bool) heldPair {
		c := newNATCluster(t, "sync_groups: [{name: site, instances: [outer, inner]}]\nconnection_sync: {interface: eth1}\n")
		if !preempt {
			rewrite(t, c.master.file, "interface: eth0,", "interface: eth0, preempt: false,", "interface: eth1,", "interface: eth1, preempt: false,")
		}
		for _, s := range c.servers {
			s.start()
		}
		return heldPair{c.client, c.master, c.backup, c.awaitBoth}
	},
}

func heldOnOneLAN(t *testing.T, forward string, preempt bool) heldPair {
	c := newCluster(t, shape{advert: "300ms", forward: forward, noPreempt: !preempt, more: "connection_sync: {}"})
	for _, s := range []*node{c.mysql1, c.mysql2} {
		if forward == "tun" {
			s.Run("modprobe", "ipip")
		}
		s.start()
	}
	c.answering()
	return heldPair{c.client, c.master, c.backup, func(n *node) { c.awaitHolder(n, soon) }}
}

// TestHeldConnections: connections that were opened before the standby was booted survive the loss of the MASTER, half of
// them idle since before that boot, with each forwarding method.
//
// Proves docs/failover.md: "Held connections survive the loss of the MASTER's cable and the death of its director with `dr`, `nat` and `tun`."
func TestHeldConnections(t *testing.T) {
	lab.Need(t, lab.IPVS)
	count, methods, faults := 20, []string{"dr"}, []string{"kill"}
	if !testing.Short() {
		count, methods, faults = 200, []string{"dr", "nat", "tun"}, []string{"kill", "cable"}
	}
	for _, forward := range methods {
		for _, fault := range faults {
			t.Run(forward+"/"+fault, func(t *testing.T) { holdThrough(t, heldPairs[forward](t, true), fault, count) })
		}
	}
}

func holdThrough(t *testing.T, p heldPair, fault string, count int) {
	p.master.start()
	p.await(p.master)
	lab.Eventually(t, soon, func() error {
		if n := len(p.master.table().Service(vipPort).Servers); n != 2 {
			return fmt.Errorf("%d real servers", n)
		}
		return nil
	})
	idle := measure.OpenConnections(p.client, vipPort, count/2)
	busy := measure.OpenConnections(p.client, vipPort, count/2)
	p.master.awaitCounted(count) // what the kernel has collected has been sent, to nobody
	p.backup.start()
	busy.Alive()
	lab.Eventually(t, soon, func() error {
		if got := entries(p.backup); len(got) != count {
			return fmt.Errorf("the standby has %d of %d connections", len(got), count)
		}
		return nil
	})
	for _, line := range entries(p.backup) {
		if !strings.Contains(line, vipPort) {
			t.Errorf("an entry of something else: %s", line)
		}
	}
	switch fault {
	case "kill":
		p.master.daemon.Kill()
	case "cable":
		p.master.Link("eth0").CarrierDown()
	}
	p.await(p.backup)
	for name, conns := range map[string]*measure.Connections{"idle": idle, "busy": busy} {
		if alive := conns.Alive(); alive["mysql1"]+alive["mysql2"] != count/2 {
			t.Errorf("%s: %v of %d survive: %v", name, alive, count/2, conns.Errors())
		}
	}
}
