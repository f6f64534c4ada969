package e2e

import (
	"errors"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// relaxedAdvert is the advert interval of scenarios that run beside others: on a shared CPU adverts every 100 ms may be
// later than the master-down interval.
const relaxedAdvert = 400 * time.Millisecond

// maxReturnGap is the longest time for which the return of a director may leave a client without an answer.
const maxReturnGap = 300 * time.Millisecond

// failedOver returns a cluster in which lvs-backup has taken over from lvs-master, whose daemon was killed, and a
// running measurement.
func failedOver(t *testing.T, s shape) (*cluster, *measure.Client) {
	t.Helper()
	c := newCluster(t, s)
	c.answering()
	c.mysql1.start()
	c.mysql2.start()
	c.master.start()
	c.awaitHolder(c.master, soon) // before lvs-backup starts: without preemption the first MASTER stays
	c.backup.start()
	for _, n := range []*node{c.master, c.backup} {
		c.awaitTable(n, "10.77.0.11:3306", "10.77.0.12:3306")
	}
	c.master.daemon.Kill()
	c.master.Run("ip", "addr", "del", vipPrefix, "dev", "eth0") // instead of waiting for the end of its lease
	c.awaitHolder(c.backup, soon)
	m := measure.Start(c.client, vipPort, measure.Options{Every: 20 * time.Millisecond})
	m.WaitAnswered("", soon)
	return c, m
}

// TestNoPreempt: without preemption a director that returns stays BACKUP, whatever its priority.
//
// Proves docs/cluster-file.md: "whether a director takes over from a MASTER of lower priority (`false` is keepalived's
// nopreempt; an error with priority 255)"
func TestNoPreempt(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c, m := failedOver(t, shape{advert: relaxedAdvert.String(), noPreempt: true})
	watch, other := c.master.watchVIP(), c.backup.watchVIP()
	back := time.Now()
	c.master.start()
	for _, server := range []string{"mysql1", "mysql2"} { // wait until it is ready to serve
		c.master.daemon.WaitLog("msg=verdict server=mysql/"+server+" up=true", soon)
	}
	time.Sleep(2500 * time.Millisecond)
	if periods := watch.periods(); len(periods) > 0 {
		t.Errorf("lvs-master took the VIP: %v", periods)
	}
	for _, period := range other.periods() {
		if !period.to.IsZero() {
			t.Errorf("lvs-backup lost the VIP: %s", period)
		}
	}
	if err := c.heldOnlyBy(c.backup); err != nil {
		t.Error(err)
	}
	if err := c.master.stateIs("BACKUP"); err != nil {
		t.Error(err)
	}
	if gap := m.Stop().Since(back).LongestGap(); gap.Duration > maxReturnGap {
		t.Errorf("the return of a BACKUP left the client without an answer for %s", gap)
	}
}

// TestPreemptWaitsForChecks: with preemption a director that returns takes over once each of its checks has run, and
// not before: it never holds the VIP with an empty table.
//
// Proves docs/operations.md: "After a start, a director does not preempt a MASTER of lower priority until every check
// has run once, for at most 30 s, and until a check has succeeded for a real server, without a limit; the reason in
// `lvsctl status` says so."
func TestPreemptWaitsForChecks(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.AnyKernel(t)
	const timeout = 2 * time.Second
	c, m := failedOver(t, shape{advert: relaxedAdvert.String(), check: "{type: tcp, interval: 2s, timeout: 2s, fall: 2, rise: 2}"})
	watch := c.master.watchVIP()
	// mysql1 answers the client but not the director, so its first check takes the whole timeout.
	c.mysql1.Link("eth0").Drop(lab.ToHost, "src host 10.77.0.2 and tcp")
	back := time.Now()
	c.master.start()
	// The table may be empty until the director takes the VIP, not after that.
	taken := watch.awaitPeriods(1)[0].from
	if table := c.master.table(); len(table.Service(vipPort).Servers) == 0 {
		t.Errorf("lvs-master holds the VIP with an empty table:\n%s", table.Text)
	}
	if took := taken.Sub(back); took < timeout {
		t.Errorf("lvs-master took the VIP %s after its start, before its first checks can have run", took)
	}
	m.WaitAnswered("mysql2", soon)
	gap := m.Stop().Since(back).LongestGap()
	c.awaitHolder(c.master, soon)
	c.awaitTable(c.master, "10.77.0.12:3306")
	t.Logf("gap when the director returned: %s", gap)
	if gap.Duration > maxReturnGap {
		t.Errorf("the return of the MASTER left the client without an answer for %s", gap)
	}
}

// TestPreemptNeedsAServer: a director that reaches no real server leaves the VIP to one that serves for as long as
// that lasts, and takes it when nobody holds it.
//
// Proves docs/operations.md: "A VIP that no director holds is taken at once."
func TestPreemptNeedsAServer(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c, m := failedOver(t, shape{advert: relaxedAdvert.String(), check: "{type: tcp, interval: 1s, timeout: 500ms, fall: 2, rise: 2}"})
	for _, n := range []*node{c.mysql1, c.mysql2} {
		n.Link("eth0").Drop(lab.ToHost, "src host 10.77.0.2 and tcp")
	}
	m.Stop()
	m = measure.Start(c.client, vipPort, measure.Options{Every: 500 * time.Millisecond})
	c.master.start().WaitLog("from=INIT to=BACKUP", soon)
	lab.Consistently(t, 40*time.Second, func() error { return c.heldOnlyBy(c.backup) })
	if during := m.Stop(); during.Failed() > 0 {
		t.Errorf("clients failed beside a director without a real server: %s", during)
	}
	watch, segment := c.master.watchVIP(), c.segment()
	segment.Wait("10.77.0.3 > 224", soon)
	killed := time.Now()
	c.backup.daemon.Kill()
	taken := watch.awaitPeriods(1)[0].from
	segment.Stop()
	if took, most := taken.Sub(killed), 3*relaxedAdvert+106*relaxedAdvert/256+takeoverAllowance; took > most {
		t.Errorf("the VIP that nobody held was taken after %s, want at most %s", took, most)
	}
}

// TestPreemptDelay: a director preempts a MASTER of lower priority only after preempt_delay.
//
// Proves docs/cluster-file.md: "how long to wait before preempting a MASTER of lower priority"
func TestPreemptDelay(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	const delay = 3 * time.Second
	c, m := failedOver(t, shape{advert: relaxedAdvert.String(), instance: "preempt_delay: 3s"})
	watch := c.master.watchVIP()
	back := time.Now()
	listening := loggedAt(t, c.master.start().WaitLog("from=INIT to=BACKUP", soon))
	// The delay starts with the first advert received; adverts after its end no longer reset the timer.
	took, most := watch.awaitPeriods(1)[0].from.Sub(listening), relaxedAdvert+delay+3*relaxedAdvert+106*relaxedAdvert/256+takeoverAllowance
	t.Logf("lvs-master took over %s after its start, want %s to %s", took, delay, most)
	if took < delay || took > most {
		t.Errorf("lvs-master took over %s after its start, want %s to %s", took, delay, most)
	}
	m.WaitAnswered("", soon)
	if gap := m.Stop().Since(back).LongestGap(); gap.Duration > maxReturnGap {
		t.Errorf("the change left the client without an answer for %s", gap)
	}
	c.awaitHolder(c.master, soon)
}

// TestOwner: a director of priority 255 is the owner of the VIP and takes it from any MASTER.
//
// Proves docs/cluster-file.md: "255 is the address owner, which takes over from any MASTER as soon as its first checks
// are done; a warning if two directors have it"
func TestOwner(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c := newCluster(t, shape{advert: relaxedAdvert.String()})
	c.rewrite("lvs-master: {priority: 150}", "lvs-master: {priority: 255}")
	c.answering()
	adverts := capture.Start(c.client, "eth0", lab.VRRP)
	c.backup.start()
	c.awaitHolder(c.backup, soon)
	c.master.start()
	c.awaitHolder(c.master, soon)
	adverts.Wait(`10\.77\.0\.2 > 224\.0\.0\.18: .*prio 255`, soon)
	c.steady(c.master, timing{3, relaxedAdvert})
	c.master.daemon.Stop()
	c.awaitHolder(c.backup, soon)
}

// TestEqualPriority: of two directors of equal priority that are both MASTER the one with the higher address stays (RFC
// 9568 6.4.3); afterwards neither takes the VIP from the other.
//
// Proves docs/cluster-file.md: "Of equal ones the one that is MASTER stays, and of two MASTERs the higher director
// address wins."
func TestEqualPriority(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c := newCluster(t, shape{advert: relaxedAdvert.String()})
	c.rewrite("lvs-master: {priority: 150}", "lvs-master: {priority: 100}")
	c.answering()
	r := timing{3, relaxedAdvert}
	// Two processes do not reliably start at the same time. A split makes both MASTER, and after it both send adverts.
	c.master.start()
	c.backup.start()
	c.master.Link("eth0").Drop(lab.BothWays, lab.VRRP)
	lab.Eventually(t, soon, func() error {
		if len(lab.Holders(vip, c.master.Host, c.backup.Host)) != 2 {
			return errors.New("no split")
		}
		return nil
	})
	c.master.Link("eth0").StopDropping()
	c.steady(c.backup, r) // 10.77.0.3
	c.backup.daemon.Stop()
	c.awaitHolder(c.master, soon)
	c.backup.start()
	c.backup.daemon.WaitLog("verdict", soon)
	c.steady(c.master, r)
}
