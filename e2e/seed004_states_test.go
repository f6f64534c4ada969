package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

// TestSeed004States: who is MASTER in seed 004, two directors of equal priority that do not preempt and whose program must
// answer.
//
// Proves docs/failover.md: "A director in FAULT never holds a VIP"
func TestSeed004States(t *testing.T) {
	lab.Need(t)
	lab.HasLongForm(t)
	for _, row := range []struct {
		name  string
		daily bool
		more  string
		do    func(t *testing.T, p *trackedPair)
	}{
		{"004-3 the first one, then the higher address, then the operator decide", false, "preempt: false", seed004Equal},
		{"004-4 FAULT holds nothing", true, "preempt: false", seed004Fault},
		{"004-5 graceful stop and kill -9", false, "preempt: false", seed004Ends},
		{"004-S1 both restart at once", false, "preempt: false", seed004Restarts},
		{"004-S2 killed with its VIP, and started again", false, "preempt: false", seed004Killed},
		{"004-S4 from FAULT to MASTER", false, "preempt: false", seed004Recovers},
	} {
		if !row.daily && testing.Short() {
			continue
		}
		t.Run(row.name, func(t *testing.T) {
			p := trackedDirectors(t, "db", localTrack, row.more)
			p.answers(p.master, true)
			p.answers(p.backup, true)
			row.do(t, p)
		})
	}
}

// startInOrder starts the one that is to be MASTER first.
func (p *trackedPair) startInOrder() {
	p.t.Helper()
	p.master.start()
	p.awaitHolder(p.master, soon)
	p.backup.start()
	p.backup.daemon.WaitLog("to=BACKUP", soon)
}

func seed004Equal(t *testing.T, p *trackedPair) {
	p.startInOrder()
	lab.Consistently(t, 2*time.Second, func() error { return p.heldOnlyBy(p.master) })
	p.master.Link("eth0").Drop(lab.BothWays, lab.VRRP) // both are MASTER then, as if they had started at the same moment
	lab.Eventually(t, soon, func() error {
		if n := len(lab.Holders(vip, p.master.Host, p.backup.Host)); n != 2 {
			return fmt.Errorf("%d holders", n)
		}
		return nil
	})
	p.master.Link("eth0").StopDropping()
	p.awaitHolder(p.backup, soon) // 10.77.0.3 is higher than 10.77.0.2
	lab.Consistently(t, time.Second, func() error { return p.heldOnlyBy(p.backup) })
	if out, err := p.backup.ctl("failover", "mysql"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	p.awaitHolder(p.master, soon)
}

func seed004Fault(t *testing.T, p *trackedPair) {
	p.master.start() // the only one: nobody else could take the VIP
	p.awaitHolder(p.master, soon)
	segment := p.segment()
	p.answers(p.master, false)
	p.master.daemon.WaitLog("to=FAULT", soon)
	lab.Eventually(t, soon, func() error {
		if p.master.holds() {
			return fmt.Errorf("a director in FAULT holds the VIP")
		}
		return nil
	})
	fault := time.Now()
	lab.Consistently(t, 2*time.Second, func() error {
		if p.master.holds() {
			return fmt.Errorf("a director in FAULT holds the VIP")
		}
		return nil
	})
	for _, a := range capture.Matching(segment.Stop(), `10\.77\.0\.2 > 224\.0\.0\.18`) {
		if a.Time.After(fault) {
			t.Errorf("in FAULT it sent %s", a.Text)
		}
	}
}

func seed004Ends(t *testing.T, p *trackedPair) {
	p.rewrite("vrrp_instances:", resignsAtOnce+"\nvrrp_instances:")
	p.startInOrder()
	segment := p.segment()
	p.master.daemon.Stop()
	p.awaitHolder(p.backup, soon)
	if got := capture.Matching(segment.Stop(), `10\.77\.0\.2 > 224\.0\.0\.18.* prio 0,`); len(got) == 0 {
		t.Error("it did not resign with priority 0")
	}
	p.backup.daemon.Kill()
	lab.Eventually(t, soon, func() error { // keepalived leaves it there for ever
		if p.backup.holds() {
			return fmt.Errorf("the VIP of a director that was killed is still there")
		}
		return nil
	})
}

// seed004Restarts: a program that makes the local database a replica must not run on both.
func seed004Restarts(t *testing.T, p *trackedPair) {
	h := newHooks(p.cluster)
	p.rewrite("preempt: false", fmt.Sprintf("preempt: false, notify: [{on: [master, backup], command: [%s]}]", h.script()))
	for round := range 3 {
		lines := map[*node]int{}
		for _, n := range []*node{p.master, p.backup} {
			lines[n] = len(h.of(n))
			n.start()
		}
		lab.Eventually(t, soon, func() error {
			if n := len(lab.Holders(vip, p.master.Host, p.backup.Host)); n != 1 {
				return fmt.Errorf("%d holders", n)
			}
			return nil
		})
		holder, other := p.master, p.backup
		if p.backup.holds() {
			holder, other = p.backup, p.master
		}
		h.await(other, "end backup vip 0")
		h.await(holder, "end master vip 1")
		for _, line := range h.of(holder)[lines[holder]:] {
			if strings.HasPrefix(line, "begin backup") {
				t.Errorf("round %d: the one that became MASTER ran the hook for BACKUP: %q", round, h.of(holder))
			}
		}
		p.master.daemon.Kill()
		p.backup.daemon.Kill()
	}
}

func seed004Killed(t *testing.T, p *trackedPair) {
	p.startInOrder()
	segment := p.segment()
	p.master.daemon.Kill()
	p.backup.daemon.WaitLog("to=MASTER", soon)
	again := time.Now()
	p.master.start()
	p.awaitHolder(p.backup, soon)
	lab.Consistently(t, 2*time.Second, func() error { return p.heldOnlyBy(p.backup) })
	for _, a := range capture.Matching(segment.Stop(), `10\.77\.0\.2 > 224\.0\.0\.18`) {
		if a.Time.After(again) {
			t.Errorf("the one that came back sent %s", a.Text)
		}
	}
}

func seed004Recovers(t *testing.T, p *trackedPair) {
	h := newHooks(p.cluster)
	p.rewrite("preempt: false", fmt.Sprintf("preempt: false, notify: [{on: [master, backup, fault], command: [%s]}]", h.script()))
	p.master.start()
	h.await(p.master, "end master vip 1")
	p.answers(p.master, false)
	h.await(p.master, "end fault vip 0")
	p.answers(p.master, true)
	h.await(p.master, "end master vip 1")
	if states := stateChanges(p.master); !slices.Equal(states, []string{"BACKUP", "MASTER", "FAULT", "BACKUP", "MASTER"}) {
		t.Errorf("states %q", states)
	}
	if all := strings.Join(h.of(p.master), "\n"); strings.Contains(all, "begin backup") {
		t.Errorf("the hook for BACKUP ran on the way to MASTER:\n%s", all)
	}
}

// TestSeed004Instances: row 004-7, several databases on each machine, each with its port, address and virtual router id: one
// that fails moves its own address only.
//
// Proves docs/failover.md: "Instances that are in no group move
// independently of each other."
func TestSeed004Instances(t *testing.T) {
	lab.Need(t)
	lab.Long(t)
	t.Run("004-7 two databases on each machine", func(t *testing.T) {
		p := trackedDirectors(t, "db", localTrack, "per_node: {lvs-master: {priority: 150}}")
		p.rewrite("tracks:\n", `  - {name: other, interface: eth0, virtual_router_id: 52, advert_interval: 100ms, virtual_addresses: [10.77.0.101], tracks: [db2], per_node: {lvs-master: {priority: 150}}}
tracks:
  - {name: db2, type: tcp, address: 127.0.0.1, port: 9001, interval: 100ms}
`)
		second := map[*node]*lab.Daemon{}
		for _, n := range []*node{p.master, p.backup} {
			p.answers(n, true)
			second[n] = standin.Start(n.Host, "127.0.0.1:9001", n.Name)
			n.start()
		}
		holder := func(address string, n, other *node) {
			t.Helper()
			lab.Eventually(t, soon, func() error { return holdsAll([]string{address}, n.Host, other.Host) })
		}
		holder(vip, p.master, p.backup)
		holder("10.77.0.101", p.master, p.backup)
		second[p.master].Kill()
		holder("10.77.0.101", p.backup, p.master)
		lab.Consistently(t, 2*time.Second, func() error { return holdsAll([]string{vip}, p.master.Host, p.backup.Host) })
		p.answers(p.master, false)
		holder(vip, p.backup, p.master)
	})
}
