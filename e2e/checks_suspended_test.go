package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// TestChecksOfTheMasterOnly: with ha_suspend the real servers get checks from the MASTER and from no BACKUP, by the packets at one of
// them. The BACKUP says that nobody looks, keeps its table, and checks within an interval of its election. One that would preempt checks
// first: no client notices, and if it reaches no server it stays BACKUP.
//
// Proves docs/virtual-servers.md: "With `ha_suspend: true` a director checks the real servers of the virtual server only
// while it is MASTER"
// Proves docs/virtual-servers.md: "A director that would preempt the MASTER checks first"
func TestChecksOfTheMasterOnly(t *testing.T) {
	lab.Need(t, lab.IPVS)
	const interval = 400 * time.Millisecond
	c := newCluster(t, shape{advert: "100ms", server: "ha_suspend: true", check: "{type: tcp, interval: 400ms, timeout: 350ms, fall: 2, rise: 1}"})
	one, two := c.answering()
	c.startMaster()
	checks := capture.Start(c.mysql1.Host, "eth0", "dst host 10.77.0.11 and tcp dst port 3306 and tcp[tcpflags] & tcp-syn != 0")
	by := func(n *node, since time.Time) (times []time.Time) {
		from := map[*node]string{c.master: ` 10\.77\.0\.2\.\d+ > `, c.backup: ` 10\.77\.0\.3\.\d+ > `}[n]
		for _, p := range capture.Matching(checks.Packets(), from) {
			if p.Time.After(since) {
				times = append(times, p.Time)
			}
		}
		return times
	}
	alone := func(when string, checking, other *node) {
		t.Helper()
		since := time.Now()
		lab.Eventually(t, soon, func() error {
			if n := len(by(checking, since)); n < 10 {
				return fmt.Errorf("%s: %d checks by %s", when, n, checking.Name)
			}
			return nil
		})
		if got := by(other, since); len(got) > 0 {
			t.Errorf("%s: %d checks by %s, which is not MASTER", when, len(got), other.Name)
		}
	}
	suspended := func(n *node, entries ...string) {
		t.Helper()
		lab.Eventually(t, soon, func() error {
			s := n.status()
			v := s.VirtualServers[0]
			if s.Instances[0].State != "BACKUP" || !v.ChecksSuspended || v.RealServers[0].State != "unknown" {
				return fmt.Errorf("%s is %s: %+v", n.Name, s.Instances[0].State, v)
			}
			return nil
		})
		c.ctlPrints(n, 0, `^OK: `+n.Name+`: mysql BACKUP; 1 virtual server not checked \(ha_suspend\)`, "status", "--check")
		c.ctlPrints(n, 0, `unknown: its checks are suspended`, "status")
		if err := tableHas(n, entries...); err != nil {
			t.Error(err)
		}
	}

	c.backup.start().WaitLog("to=BACKUP", soon) // its socket is open before
	suspended(c.backup)                         // it has never been MASTER
	alone("the first MASTER", c.master, c.backup)

	c.master.daemon.Kill()
	elected := c.backup.daemon.WaitLog("to=MASTER", soon).At
	c.awaitTable(c.backup, rs1, rs2)
	if got := by(c.backup, time.Time{}); len(got) == 0 || got[0].Before(elected.Add(-interval)) || got[0].After(elected.Add(interval)) {
		t.Errorf("elected at %s, checks at %s", elected, got)
	}

	client := measure.Start(c.client, vipPort, measure.Options{Every: 5 * time.Millisecond, Timeout: soon}) // a packet may be lost while the address moves
	client.WaitAnswered("", soon)
	again := time.Now()
	preempted := c.master.start().WaitLog("to=MASTER", soon).At
	if got := by(c.master, again); len(got) == 0 || got[0].After(preempted) {
		t.Errorf("preempted at %s, checks at %s", preempted, got)
	}
	c.awaitHolder(c.master, soon)
	suspended(c.backup, rs1, rs2)
	alone("after it preempted", c.master, c.backup)
	failures := client.Stop().Failures()
	delete(failures, "reset") // of connections that began at the other MASTER; with an empty table they would be refused
	if len(failures) > 0 {
		t.Errorf("clients fail: %v", failures)
	}

	one.Stop() // unknown is not down: only the MASTER sees it
	c.awaitTable(c.master, rs2)
	suspended(c.backup, rs1, rs2)
	c.master.daemon.Kill()
	c.awaitHolder(c.backup, soon)
	c.awaitTable(c.backup, rs2)

	two.Stop() // neither reaches a server: there is no reason to preempt
	c.awaitTable(c.backup)
	start := time.Now()
	c.master.start().WaitLog("directing", soon)
	lab.Eventually(t, soon, func() error {
		if n := len(by(c.master, start)); n < 10 {
			return fmt.Errorf("%d checks by the one that would preempt", n)
		}
		return nil
	})
	if err := c.master.stateIs("BACKUP"); err != nil {
		t.Error(err)
	}
	c.answering()
	c.awaitHolder(c.master, soon)
	c.awaitTable(c.master, rs1, rs2)
	lab.Eventually(t, soon, func() error { return c.backup.stateIs("BACKUP") })
	alone("at the end", c.master, c.backup)
}
