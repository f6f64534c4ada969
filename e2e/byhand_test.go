package e2e

import (
	"slices"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/problem"
)

// TestServingByHand: without a daemon, the printed table and an address added by hand serve the clients, and a director that is
// started again adopts both without a change and without an interruption.
//
// Proves docs/operations.md: "a stop removes VIP and table, and these commands put them back."
// Proves docs/operations.md: "It adopts the table, and takes the VIP over when it is MASTER; until then it reports `stray_vip`."
func TestServingByHand(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c := newCluster(t, shape{advert: "1s", scheduler: "wrr", weights: [2]int{3, 1}})
	c.answering()
	c.startAll()
	c.awaitHolder(c.master, soon)
	printed, err := c.master.ctl("table")
	if err != nil {
		t.Fatal(err)
	}
	table := c.master.writeFile("ipvs.table", printed)
	before := c.master.Run("ipvsadm", "-Sn")

	c.backup.daemon.Stop()
	c.master.daemon.Stop()
	if left := c.master.Run("ipvsadm", "-Sn"); left != "" || c.master.holds() {
		t.Fatalf("after the stop: VIP %t, %s", c.master.holds(), left)
	}
	c.master.Run("sh", "-c", "ipvsadm -R <"+table)
	c.master.Run("ip", "addr", "add", vipPrefix, "dev", "eth0")
	if after := c.master.Run("ipvsadm", "-Sn"); after != before {
		t.Errorf("the table by hand is\n%s, want\n%s", after, before)
	}
	m := measure.Start(c.client, vipPort, measure.Options{})
	m.WaitAnswered("mysql1", soon)
	m.WaitAnswered("mysql2", soon)

	c.master.start()
	lab.Eventually(t, soon, func() error { return c.master.stateIs("MASTER") })
	c.master.awaitCheck(0, "OK")
	raised := func(e event.Event) bool { return e.Kind == event.ProblemRaised && e.Code == string(problem.StrayVIP) }
	if !slices.ContainsFunc(c.master.events(), raised) { // it was not its own for three adverts
		t.Error("the VIP was not reported")
	}
	c.backup.start()
	c.awaitTable(c.backup, rs1, rs2)
	m.WaitAnswered("mysql1", soon)
	m.WaitAnswered("mysql2", soon)
	if r := m.Stop(); r.Failed() > 0 {
		t.Errorf("connections failed: %s", r)
	}
	if after := c.master.Run("ipvsadm", "-Sn"); after != before {
		t.Errorf("the table of the director is\n%s, want\n%s", after, before)
	}
}
