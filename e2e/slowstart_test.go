package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// TestSlowStart: a real server that returns gets its weight by steps on both directors, and clients accordingly, while the other one keeps
// its weight; a director that is killed meanwhile goes on with what it finds. The first pool has its whole weights.
//
// Proves docs/virtual-servers.md: "gets its weight by steps"
// Proves docs/virtual-servers.md: "A director that was killed goes on with the weights that it finds"
func TestSlowStart(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c := newCluster(t, shape{advert: "100ms", scheduler: "wrr", server: "slow_start: 12s", weights: [2]int{100, 100}})
	file := c.net.File("two", "")
	c.edit("{name: mysql2,", fmt.Sprintf("{name: mysql2, checks: [{type: file, path: %s, interval: 200ms, fall: 1, rise: 1}],", file))
	c.answering()
	c.startMaster()
	if err := c.master.hasWeights(100, 100); err != nil {
		t.Fatalf("the first pool: %v", err)
	}
	c.backup.start()
	c.awaitTaken()

	fails(t, file, true)
	for _, d := range []*node{c.master, c.backup} {
		c.awaitTable(d, rs1)
	}
	client := measure.Start(c.client, vipPort, measure.Options{})
	returned := time.Now()
	fails(t, file, false)
	c.awaitTable(c.master, rs1, rs2)
	c.ctlPrints(c.master, 0, `weight \d+ of 100: slow start, \d+ s left`, "status")
	weight := c.risesTo(33, 1)
	answered := client.Stop()
	if got := answered.AnsweredBy(); got["mysql2"] > got["mysql1"]/2 || answered.Failed() > 0 {
		t.Errorf("until it has %d of 100: answers by %v, failures %v", weight, got, answered.Failures())
	}
	if got := c.backup.table().Service(vipPort).Server(rs2).Weight; got == 100 {
		t.Errorf("it has its whole weight on lvs-backup, and %d on lvs-master", weight)
	}
	c.master.awaitOK()

	c.master.daemon.Kill()
	c.master.start()
	c.risesTo(100, weight)
	if took := time.Since(returned); took < 12*time.Second {
		t.Errorf("a director that was killed meanwhile gave it its whole weight after %s", took)
	}
	c.awaitHolder(c.master, soon)
}

// risesTo watches the table of lvs-master until mysql2 has a weight, and returns what it has then: it never falls, and mysql1 keeps 100.
func (c *cluster) risesTo(weight, from int) int {
	c.t.Helper()
	last := from
	lab.Eventually(c.t, soon, func() error {
		service := c.master.table().Service(vipPort)
		one, two := service.Server(rs1), service.Server(rs2)
		if !two.Exists() || two.Weight < last || one.Weight != 100 {
			c.t.Fatalf("mysql1 has %d, and mysql2 has %d after %d", one.Weight, two.Weight, last)
		}
		if last = two.Weight; last < weight {
			return fmt.Errorf("mysql2 has %d, want %d", last, weight)
		}
		return nil
	})
	return last
}
