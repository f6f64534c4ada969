package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// heldPair is a pair of directors whose standby has not been booted yet.
type heldPair struct {
	client         *lab.Host
	master, backup *node
	await          func(n *node) // until it has all virtual addresses
	// losesOpening: a connection that is being opened while the VIPs move may fail.
	losesOpening bool
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
		// The answer to the first packet of a connection may arrive at a director that does not know it yet.
		return heldPair{c.client, c.master, c.backup, c.awaitBoth, true}
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
	return heldPair{c.client, c.master, c.backup, func(n *node) { c.awaitHolder(n, soon) }, false}
}

// TestHeldConnections: connections that were opened before the standby was booted survive the loss of the MASTER, half of
// them idle since before that boot, with each forwarding method; also a planned handover, during which connections are in use and
// others are opened.
//
// Proves docs/failover.md: "Held connections survive the loss of the MASTER's cable and the death of its director with `dr`,
// `nat` and `tun`."
// Proves docs/failover.md: "With a planned handover those survive, too, that are in use while the VIPs move."
func TestHeldConnections(t *testing.T) {
	lab.Need(t, lab.IPVS)
	count, methods, faults := 20, []string{"dr"}, []string{"kill"}
	if !testing.Short() {
		count, methods, faults = 200, []string{"dr", "nat", "tun"}, []string{"kill", "cable", "handover"}
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
	case "handover":
		p.handOverInUse(t, busy, count/2)
	}
	p.await(p.backup)
	for name, conns := range map[string]*measure.Connections{"idle": idle, "busy": busy} {
		if alive := conns.Alive(); alive["mysql1"]+alive["mysql2"] != count/2 {
			t.Errorf("%s: %v of %d survive: %v", name, alive, count/2, conns.Errors())
		}
	}
}

// handOverInUse stops the MASTER while connections are in use all the time, and a new one is opened every 5 ms. None of either may
// fail but what moves.check allows, unless losesOpening says so.
func (p heldPair) handOverInUse(t *testing.T, busy *measure.Connections, count int) {
	p.backup.awaitLearned(2 * count)
	announced := watchMoves(t, p.client, p.master, p.backup)
	client := measure.Start(p.client, vipPort, patient)
	client.WaitAnswered("", soon)
	begun, moved, inUse := time.Now(), make(chan struct{}), make(chan string)
	go func() {
		rounds, dead := 0, ""
		for over := false; !over && dead == ""; rounds++ {
			select {
			case <-moved:
				over = true // one more round
			default:
			}
			if alive := busy.Alive(); alive["mysql1"]+alive["mysql2"] != count {
				dead = fmt.Sprintf("%v of %d connections in use survive round %d: %v", alive, count, rounds, busy.Errors())
			}
		}
		t.Logf("each connection in use was answered %d times", rounds)
		inUse <- dead
	}()
	p.master.daemon.Stop()
	p.await(p.backup)
	close(moved)
	if dead := <-inUse; dead != "" {
		t.Error(dead)
	}
	client.WaitAnswered("", soon)
	result := client.Stop().Since(begun)
	t.Logf("new connections: %s", result)
	if !p.losesOpening {
		announced.check(result)
	}
}
