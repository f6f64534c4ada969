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

// stallRhythm is that of all stalls: a second is far beyond the peers' patience.
var stallRhythm = rhythm{3, 100 * time.Millisecond}

// stallLease is that of the VIP in all stalls.
const stallLease = 3 * time.Second

// startAsUnit starts the node's director with the scheduling policy of the shipped unit.
func (n *node) startAsUnit() *lab.Daemon {
	n.t.Helper()
	n.daemon = n.Host.Start("lvs-director", "nice", "-n", "-20", n.binary, "run",
		"--config", n.file, "--socket", n.socket, "--state-dir", n.Path("state"))
	return n.daemon
}

// stallCluster serves through lvs-master. Its checks are patient: a machine that stands still lets them wait, too.
func stallCluster(t *testing.T) *cluster {
	t.Helper()
	c := newCluster(t, shape{
		advert: stallRhythm.advert.String(), instance: "lease: " + stallLease.String(),
		check: "{type: tcp, interval: 1s, timeout: 900ms, fall: 5, rise: 1}",
	})
	c.answering()
	c.mysql1.start()
	c.mysql2.start()
	c.master.startAsUnit()
	c.backup.startAsUnit()
	c.awaitHolder(c.master, soon)
	for _, n := range []*node{c.master, c.backup} {
		c.awaitTable(n, "10.77.0.11:3306", "10.77.0.12:3306")
	}
	return c
}

// TestStall: a director that stands still, of which only the others' clocks tell. At every moment somebody answers for
// the VIP, but for the time that an election takes; on waking, it does not disturb the one who serves.
//
// Proves docs/operations.md: "On waking, a MASTER reads first what its peers said meanwhile."
// Proves docs/operations.md: "Nobody did: the VIPs are announced anew at once, and put back where the lease took them."
// Proves docs/operations.md: "A BACKUP that wakes does not believe in a silence that it could not hear: it listens for
// one more advert."
func TestStall(t *testing.T) {
	c := stallCluster(t)
	lengths := []time.Duration{time.Second, 3 * time.Second}
	machine := 1500 * time.Millisecond
	if soaking() {
		lengths, machine = append(lengths, 10*time.Second, 60*time.Second), 10*time.Second
	}
	for _, length := range lengths {
		t.Run("MASTER stopped for "+length.String(), func(t *testing.T) { c.stallMaster(t, length) })
	}
	t.Run("BACKUP stopped for 1s", func(t *testing.T) { c.stallBackup(t, time.Second, false) })
	t.Run("MASTER's machine paused for "+machine.String(), func(t *testing.T) { c.pauseMaster(t, machine) })
	t.Run("BACKUP's machine paused for "+machine.String(), func(t *testing.T) { c.stallBackup(t, machine, true) })
	c.backup.daemon.Stop()
	t.Run("alone, stopped for 1s", func(t *testing.T) { c.stallAlone(t, time.Second) })
	t.Run("alone, stopped beyond the lease", func(t *testing.T) { c.stallAlone(t, stallLease+time.Second) })
}

// words are the packets with which a node speaks of the VIP: adverts and gratuitous ARP.
func words(packets []capture.Packet, n *node, from, to time.Time) (all []capture.Packet) {
	for _, p := range packets {
		ours := strings.HasPrefix(p.Text, n.mac()+" > ") && (strings.Contains(p.Text, "224.0.0.18") || strings.Contains(p.Text, vip))
		if ours && p.Time.After(from) && p.Time.Before(to) {
			all = append(all, p)
		}
	}
	return all
}

// during lets something happen under traffic and judges the client's longest gap; what may have been the machine
// happens again.
func (c *cluster) during(t *testing.T, limit time.Duration, happen func()) {
	t.Helper()
	for trial := 1; ; trial++ {
		m := measure.Start(c.client, vipPort, measure.Options{})
		m.WaitAnswered("", soon)
		begun, starved := time.Now(), pulse()
		happen()
		m.WaitAnswered("", soon)
		gap, late := m.Stop().Since(begun).LongestGap(), starved()
		t.Logf("the client's longest gap %s, limit %s; the machine was without CPU for %s at most", gap, limit, late)
		switch {
		case gap.Duration <= limit:
			return
		case exact() && gap.Skipped == 0 && late < tolerable || trial == 3:
			t.Errorf("the client was without an answer for %s, want at most %s", gap, limit)
			return
		}
		t.Log("void: that may have been the machine; again")
	}
}

// stallMaster freezes the daemon of lvs-master, whose kernel lives on.
func (c *cluster) stallMaster(t *testing.T, length time.Duration) {
	c.during(t, nearly(stallRhythm.masterDown()+100*time.Millisecond), func() {
		addresses, log := c.master.monitor(), c.master.daemon.Mark()
		segment := capture.Start(c.client, "eth0", "vrrp or arp")
		frozen := time.Now()
		c.master.daemon.Pause()
		time.Sleep(length)
		awake := time.Now()
		c.master.daemon.Resume()

		// Promise 8: what is queued on the socket comes before anything is said. The VIP goes at once.
		log.WaitLog(`msg=state .*from=MASTER to=BACKUP .*stood still for .* and 10\.77\.0\.3 serves with priority 100`, soon)
		gone := addresses.WaitLog("Deleted.* "+heldBy+" ", soon).At
		c.awaitHolder(c.master, soon) // it preempts in due time
		c.awaitServed(c.master)
		packets := segment.Stop()
		addresses.Kill()

		// The take-over: the peer's first word after the freeze.
		if first := words(packets, c.backup, frozen, awake); len(first) == 0 {
			t.Errorf("lvs-backup did not take over in %s", length)
		} else if took := first[0].Time.Sub(frozen); took > within(stallRhythm.masterDown()+100*time.Millisecond) {
			t.Errorf("lvs-backup took over %s after the freeze", took)
		}
		// A MASTER that wakes says nothing before its preemption is due.
		patience := 3*stallRhythm.advert + 106*stallRhythm.advert/256
		if early := words(packets, c.master, awake, awake.Add(patience-10*time.Millisecond)); len(early) > 0 {
			t.Errorf("lvs-master said on waking, %s after it: %s", early[0].Time.Sub(awake), early[0].Text)
		}
		t.Logf("the VIP went %s after the freeze, %s after waking", gone.Sub(frozen), gone.Sub(awake))
		if limit := stallLease + within(1500*time.Millisecond); gone.Sub(frozen) > max(limit, length+within(200*time.Millisecond)) || gone.Sub(frozen) > limit && length > limit {
			t.Errorf("lvs-master held the VIP for %s after it was frozen", gone.Sub(frozen))
		}
	})
}

// pauseMaster pauses a whole machine: nothing of it moves, and nothing reaches it.
func (c *cluster) pauseMaster(t *testing.T, length time.Duration) {
	c.during(t, nearly(stallRhythm.masterDown()+100*time.Millisecond), func() {
		link := c.master.Link("eth0")
		link.Unplug()
		c.master.daemon.Pause()
		time.Sleep(length)
		if holders := lab.Holders(vip, c.backup.Host); len(holders) != 1 {
			t.Errorf("lvs-backup did not take over")
		}
		link.Plug()
		c.master.daemon.Resume()
		// Nothing is queued, so that it is still MASTER, until it hears or is heard. Then there is one.
		c.awaitHolder(c.master, soon)
		c.awaitServed(c.master)
		lab.Steadily(t, 500*time.Millisecond, func() error { return c.heldOnlyBy(c.master) })
	})
}

// stallBackup: a BACKUP that wakes believes in what it has not heard only after it had a chance to hear.
func (c *cluster) stallBackup(t *testing.T, length time.Duration, paused bool) {
	log := c.backup.daemon.Mark()
	segment := capture.Start(c.client, "eth0", "vrrp or arp")
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
	lab.Steadily(t, 700*time.Millisecond, func() error { return c.heldOnlyBy(c.master) })
	if said := words(segment.Stop(), c.backup, begun, time.Now()); len(said) > 0 {
		t.Errorf("lvs-backup said: %s", said[0].Text)
	}
	if strings.Contains(log.Log(), "msg=state") {
		t.Errorf("lvs-backup changed its state:\n%s", log.Log())
	}
}

// stallAlone: with nobody else, the VIP is back as soon as its holder is.
func (c *cluster) stallAlone(t *testing.T, length time.Duration) {
	segment := capture.Start(c.client, "eth0", "vrrp or arp")
	log := c.master.daemon.Mark()
	m := measure.Start(c.client, vipPort, measure.Options{})
	m.WaitAnswered("", soon)
	c.master.daemon.Pause()
	time.Sleep(length)
	awake := time.Now()
	c.master.daemon.Resume()
	log.WaitLog(`msg="VIPs are up"`, soon)
	if !strings.Contains(c.master.daemon.Log(), "stood still as MASTER, and nobody took over") { // at most every ten seconds
		t.Error("the log never says that lvs-master stood still")
	}
	c.awaitHolder(c.master, soon)
	m.WaitAnswered("", soon)
	packets, seen := segment.Stop(), m.Stop().Since(awake)
	if strings.Contains(log.Log(), "msg=state") {
		t.Errorf("lvs-master changed its state:\n%s", log.Log())
	}
	said := capture.Matching(words(packets, c.master, awake, time.Now()), "ARP")
	if len(said) == 0 {
		t.Fatal("the VIP was not announced anew")
	}
	var answered time.Duration
	for _, a := range seen.Attempts {
		if a.Answered() && a.Start.After(awake) {
			answered = a.Start.Sub(awake)
			break
		}
	}
	t.Logf("after waking: announced in %s, the client answered in %s (%d starts skipped)", said[0].Time.Sub(awake), answered, seen.Skipped())
	if late := said[0].Time.Sub(awake); late > within(100*time.Millisecond) && seen.Skipped() == 0 {
		t.Errorf("the VIP was announced only %s after waking", late)
	}
	if answered > within(200*time.Millisecond) && seen.Skipped() == 0 {
		t.Errorf("the client was answered only %s after waking", answered)
	}
}

// TestBusyMachine: other processes take all the CPU there is. A director with the priority that its unit gives does not
// notice.
//
// Proves docs/operations.md: "The shipped unit gives the director all the weight that an ordinary process can have
// (`Nice=-20`, `CPUWeight=10000`); then other processes that take all CPU cost nothing."
func TestBusyMachine(t *testing.T) {
	c := stallCluster(t)
	length := 3 * time.Second
	if soaking() {
		length = 15 * time.Second
	}
	for trial := 1; ; trial++ {
		worst, changes, late := c.burn(t, length)
		if worst <= within(2*stallRhythm.advert) && changes == 0 {
			break
		}
		if late < tolerable || worst > within(2*stallRhythm.advert)+late {
			t.Errorf("an advert was %s late, and %d times a director changed its state, because others took the CPU", worst-stallRhythm.advert, changes)
			break
		}
		t.Log("void: the machine itself had no CPU")
		if trial == 3 { // adverts were no later than the machine
			break
		}
		lab.Eventually(t, soon, func() error { return c.heldOnlyBy(c.master) })
	}
	if !soaking() {
		return
	}
	// Without its unit's priority a director shares with the others, and its adverts come late: what is then is told, and
	// only that there is one holder in the end is promised.
	for _, n := range []*node{c.master, c.backup} {
		n.daemon.Stop()
		n.start()
	}
	c.awaitHolder(c.master, soon)
	c.burn(t, length)
	lab.Eventually(t, soon, func() error { return c.heldOnlyBy(c.master) })
}

// burn takes the CPU away for a time. It gives the longest wait for an advert, how often a director changed its state, and
// for how long the machine had no CPU even for somebody with their priority.
func (c *cluster) burn(t *testing.T, length time.Duration) (worst time.Duration, changes int, late time.Duration) {
	t.Helper()
	logs := map[*node]lab.LogMark{c.master: c.master.daemon.Mark(), c.backup: c.backup.daemon.Mark()}
	segment := capture.Start(c.client, "eth0", lab.VRRP)
	var fires []*lab.Daemon
	for i := range 4 {
		fires = append(fires, c.client.Start(fmt.Sprintf("burn%d", i), "sh", "-c", "while :; do :; done"))
	}
	begun, starved := time.Now(), unitPulse()
	time.Sleep(length)
	ended := time.Now()
	late = starved()
	for _, f := range fires {
		f.Kill()
	}
	packets := words(segment.Stop(), c.master, begun, ended)
	if len(packets) < 3 {
		t.Fatalf("%d adverts in %s", len(packets), length)
	}
	for i := range packets[1:] {
		worst = max(worst, packets[i+1].Time.Sub(packets[i].Time))
	}
	for n, log := range logs {
		if count := strings.Count(log.Log(), "msg=state"); count > 0 {
			changes += count
			t.Logf("%s:\n%s", n.Name, log.Log())
		}
	}
	t.Logf("%d adverts in %s, the longest wait for one %s, %d changes of state; the machine was without CPU for %s at most",
		len(packets), ended.Sub(begun), worst, changes, late)
	return worst, changes, late
}
