package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// stallTiming is the timing of all stall scenarios: a stall of a second is far longer than the master-down interval.
var stallTiming = timing{3, 100 * time.Millisecond}

// stallLease is the lease of the VIP in all stall scenarios.
const stallLease = 3 * time.Second

// stallCluster returns a cluster that serves through lvs-master. Its checks allow many failures, because a stall of the
// machine delays them too.
func stallCluster(t *testing.T) *cluster {
	t.Helper()
	c := newCluster(t, shape{
		advert: stallTiming.advert.String(), instance: "lease: " + stallLease.String(),
		check: "{type: tcp, interval: 1s, timeout: 900ms, fall: 5, rise: 1}",
	})
	c.answering()
	c.mysql1.start()
	c.mysql2.start()
	c.master.start()
	c.backup.start()
	c.awaitHolder(c.master, soon)
	for _, n := range []*node{c.master, c.backup} {
		c.awaitTable(n, "10.77.0.11:3306", "10.77.0.12:3306")
	}
	return c
}

// TestStall: a director stalls, which it can detect only afterwards. At every moment a director answers for the VIP,
// except for the time of an election; a director that resumes does not disturb the one that serves.
//
// Proves docs/operations.md: "After the stall, a MASTER first reads the adverts that its peers sent in the meantime."
// Proves docs/operations.md: "If no peer has taken over, it announces the VIPs again at once, and adds those back whose
// lease has ended."
// Proves docs/operations.md: "A BACKUP does not take over because of adverts that it could not receive during the
// stall: it waits for one more advert."
func TestStall(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.HasLongForm(t)
	c := stallCluster(t)
	lengths := []time.Duration{3 * time.Second}
	machine := 1500 * time.Millisecond
	if !testing.Short() {
		lengths, machine = []time.Duration{time.Second, 3 * time.Second, 10 * time.Second, 60 * time.Second}, 10*time.Second
	}
	for _, length := range lengths {
		t.Run("MASTER stopped for "+length.String(), func(t *testing.T) { c.stallMaster(t, length) })
	}
	t.Run("BACKUP stopped for 1s", func(t *testing.T) {
		lab.LongPart(t)
		c.stallBackup(t, time.Second, false)
	})
	t.Run("MASTER's machine paused for "+machine.String(), func(t *testing.T) { c.pauseMaster(t, machine) })
	t.Run("BACKUP's machine paused for "+machine.String(), func(t *testing.T) {
		lab.LongPart(t)
		c.stallBackup(t, machine, true)
	})
	c.backup.daemon.Stop()
	t.Run("alone, stopped for 1s", func(t *testing.T) {
		lab.LongPart(t)
		c.stallAlone(t, time.Second)
	})
	t.Run("alone, stopped beyond the lease", func(t *testing.T) { c.stallAlone(t, stallLease+time.Second) })
}

// underTraffic calls happen while a client measures, and judges the client's longest gap.
func (c *cluster) underTraffic(t *testing.T, limit time.Duration, happen func()) {
	t.Helper()
	m := measure.Start(c.client, vipPort, measure.Options{})
	m.WaitAnswered("", soon)
	begun := time.Now()
	happen()
	m.WaitAnswered("", soon)
	gap := m.Stop().Since(begun).LongestGap()
	t.Logf("the client's longest gap %s, limit %s", gap, limit)
	if gap.Duration > limit {
		t.Errorf("the client got no answer for %s, want at most %s", gap, limit)
	}
}

// stallMaster stops the daemon of lvs-master, whose kernel keeps running.
func (c *cluster) stallMaster(t *testing.T, length time.Duration) {
	limit := stallTiming.masterDown() + takeoverAllowance
	c.underTraffic(t, limit, func() {
		watch, log := c.master.watchVIP(), c.master.daemon.Mark()
		segment := c.segment()
		segment.Wait("10.77.0.2 > 224", soon)
		stopped := time.Now()
		c.master.daemon.Pause()
		time.Sleep(length)
		resumed := time.Now()
		c.master.daemon.Resume()

		// The director reads the packets queued on its socket before it sends anything, and removes the VIP at once.
		log.WaitLog(`msg=state .*from=MASTER to=BACKUP .*stalled for .*; 10\.77\.0\.3 took over with priority 100`, soon)
		gone := watch.awaitEnd(soon)
		watch.awaitPeriodSince(gone)
		c.awaitHolder(c.master, soon) // it preempts after the usual time
		c.awaitARPEntry(c.master)
		packets := segment.Stop()

		if took := takeoverTime(t, packets, c.master, c.backup, stopped); took > limit {
			t.Errorf("lvs-backup announced the VIP %s after the last advert of lvs-master, want at most %s", took, limit)
		}
		// A MASTER that resumes sends nothing before its preemption is due.
		masterDown := 3*stallTiming.advert + 106*stallTiming.advert/256
		if early := announcements(packets, c.master, resumed, resumed.Add(masterDown-10*time.Millisecond)); len(early) > 0 {
			t.Errorf("lvs-master sent %s after it resumed: %s", early[0].Time.Sub(resumed), early[0].Text)
		}
		t.Logf("lvs-master lost the VIP %s after it was stopped, %s after it resumed", gone.Sub(stopped), gone.Sub(resumed))
		if most := min(stallLease+leaseEndAllowance, resumed.Sub(stopped)+resumeAllowance); gone.Sub(stopped) > most {
			t.Errorf("lvs-master held the VIP for %s after it was stopped, want at most %s", gone.Sub(stopped), most)
		}
	})
}

// pauseMaster pauses the whole machine of lvs-master: its daemon is stopped, and no packet reaches it or leaves it.
func (c *cluster) pauseMaster(t *testing.T, length time.Duration) {
	c.underTraffic(t, stallTiming.masterDown()+takeoverAllowance, func() {
		link := c.master.Link("eth0")
		link.Unplug()
		c.master.daemon.Pause()
		time.Sleep(length)
		if holders := lab.Holders(vip, c.backup.Host); len(holders) != 1 {
			t.Errorf("lvs-backup did not take over")
		}
		link.Plug()
		c.master.daemon.Resume()
		// No packets are queued, so it is still MASTER until an advert passes in either direction. Then there is one
		// holder.
		c.awaitHolder(c.master, soon)
		c.awaitARPEntry(c.master)
		lab.Consistently(t, 500*time.Millisecond, func() error { return c.heldOnlyBy(c.master) })
	})
}

// stallBackup: a BACKUP that resumes does not take over because of missing adverts that it could not have received; it
// first waits for one more.
func (c *cluster) stallBackup(t *testing.T, length time.Duration, paused bool) {
	log := c.backup.daemon.Mark()
	segment := c.segment()
	begun := time.Now()
	if paused {
		c.backup.Link("eth0").Unplug()
	}
	c.backup.daemon.Pause()
	time.Sleep(length)
	if paused {
		c.backup.Link("eth0").Plug()
	}
	c.backup.daemon.Resume()
	lab.Consistently(t, 700*time.Millisecond, func() error { return c.heldOnlyBy(c.master) })
	if sent := announcements(segment.Stop(), c.backup, begun, time.Now()); len(sent) > 0 {
		t.Errorf("lvs-backup sent: %s", sent[0].Text)
	}
	if strings.Contains(log.Log(), "msg=state") {
		t.Errorf("lvs-backup changed its state:\n%s", log.Log())
	}
}

// stallAlone: without a peer, the VIP is available again as soon as its holder resumes.
func (c *cluster) stallAlone(t *testing.T, length time.Duration) {
	segment := c.segment()
	log := c.master.daemon.Mark()
	m := measure.Start(c.client, vipPort, measure.Options{})
	m.WaitAnswered("", soon)
	c.master.daemon.Pause()
	time.Sleep(length)
	resumed := time.Now()
	c.master.daemon.Resume()
	log.WaitLog(`msg="VIPs are up"`, soon)
	// In the whole log, because the line is written at most every ten seconds.
	if !strings.Contains(c.master.daemon.Log(), "stalled as MASTER, and no other director took over") {
		t.Error("the log has no line about the stall of lvs-master")
	}
	m.WaitAnswered("", soon)
	packets, seen := segment.Stop(), m.Stop().Since(resumed)
	c.awaitHolder(c.master, soon)
	if strings.Contains(log.Log(), "msg=state") {
		t.Errorf("lvs-master changed its state:\n%s", log.Log())
	}
	sent := capture.Matching(announcements(packets, c.master, resumed, time.Now()), "ARP")
	if len(sent) == 0 {
		t.Fatal("the VIP was not announced again")
	}
	var answered time.Duration
	for _, a := range seen.Attempts {
		if a.Answered() && a.Start.After(resumed) {
			answered = a.Start.Sub(resumed)
			break
		}
	}
	t.Logf("after it resumed: VIP announced after %s, client answered after %s", sent[0].Time.Sub(resumed), answered)
	if late := sent[0].Time.Sub(resumed); late > resumeAllowance {
		t.Errorf("the VIP was announced only %s after lvs-master resumed", late)
	}
	if answered > 2*resumeAllowance {
		t.Errorf("the client was answered only %s after lvs-master resumed", answered)
	}
}

// TestBusyMachine: other processes use all CPU time. A director with the priority of its unit is not affected.
//
// Proves docs/operations.md: "The shipped unit gives the director the highest priority of an ordinary process
// (`Nice=-20`, `CPUWeight=10000`), so other processes that use all CPU have no effect."
func TestBusyMachine(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c := stallCluster(t)
	const length = 15 * time.Second
	if worst, changes := c.loadCPU(t, length); worst > 2*stallTiming.advert || changes > 0 {
		t.Errorf("an advert was %s late and there were %d changes of state while other processes used the CPU", worst-stallTiming.advert, changes)
	}
	// Without the priority of its unit a director shares the CPU with the others and its adverts are late: that is
	// logged, and only a single holder at the end is promised.
	for _, n := range []*node{c.master, c.backup} {
		n.daemon.Stop()
		n.startAs()
	}
	c.awaitHolder(c.master, soon)
	c.loadCPU(t, length)
	lab.Eventually(t, soon, func() error { return c.heldOnlyBy(c.master) })
}

// loadCPU runs processes that use all CPU for a time. It returns the longest gap between adverts and the number of
// state changes of the directors.
func (c *cluster) loadCPU(t *testing.T, length time.Duration) (worst time.Duration, changes int) {
	t.Helper()
	logs := map[*node]lab.LogMark{c.master: c.master.daemon.Mark(), c.backup: c.backup.daemon.Mark()}
	segment := capture.Start(c.client, "eth0", lab.VRRP)
	var loops []*lab.Daemon
	for i := range 4 {
		loops = append(loops, c.client.Start(fmt.Sprintf("burn%d", i), "sh", "-c", "while :; do :; done"))
	}
	begun := segment.Wait("10.77.0.2 > 224", soon).Time
	time.Sleep(length)
	ended := time.Now()
	for _, f := range loops {
		f.Kill()
	}
	packets := announcements(segment.Stop(), c.master, begun, ended)
	worst = longestPause(packets, begun, ended)
	for n, log := range logs {
		if count := strings.Count(log.Log(), "msg=state"); count > 0 {
			changes += count
			t.Logf("%s:\n%s", n.Name, log.Log())
		}
	}
	t.Logf("%d adverts in %s, longest gap %s, %d changes of state", len(packets), ended.Sub(begun), worst, changes)
	return worst, changes
}
