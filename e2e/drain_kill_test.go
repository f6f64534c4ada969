package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/pkg/override"
)

// TestDrainDeaths: the director is killed at random moments of a drain and of an enable. The next run has in its table
// what the state file says.
//
// Proves docs/maintenance.md: "it is in the state file before the table changes"
func TestDrainDeaths(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.HasLongForm(t)
	random, times := seeded(t), 4
	if !testing.Short() {
		times = 100
	}
	c := newCluster(t, shape{advert: "100ms"})
	c.answering()
	c.startMaster()
	drained, enabled := 0, 0
	for i := range times {
		verb := []string{"drain", "enable"}[i%2]
		command := c.master.Start("lvsctl-"+verb, program(t, "lvsctl"), "--socket", c.master.socket, verb, "mysql/mysql1")
		time.Sleep(time.Duration(random.Int64N(int64(120 * time.Millisecond))))
		c.master.daemon.Kill()
		acknowledged := command.Wait(soon) == 0
		kept := c.master.overrides(t)
		c.master.start().WaitLog("to=MASTER", soon)
		out := len(kept) > 0 && kept[0].Kind == override.Drain
		if acknowledged && out != (verb == "drain") {
			t.Errorf("%d: %s was acknowledged, and the state file has %+v", i, verb, kept)
		}
		if out {
			drained++
			lab.Eventually(t, soon, func() error { return c.master.hasEntry(rs1, -1) }) // nobody is connected
		} else {
			enabled++
			lab.Eventually(t, soon, func() error { return c.master.hasEntry(rs1, 1) })
		}
		if err := c.master.hasEntry(rs2, 1); err != nil {
			t.Error(err)
		}
	}
	t.Logf("after the deaths it was drained %d times, enabled %d times", drained, enabled)
}

// TestDrainEndDeaths: the director is killed at random moments around the time at which a drain ends, while a client is connected.
// Afterwards the server has no entry, and the state file says so; the other server keeps its connections.
//
// Proves docs/maintenance.md: "it is in the state file before the table changes"
func TestDrainEndDeaths(t *testing.T) {
	lab.Need(t, lab.IPVS)
	random, times := seeded(t), 3
	if lab.HasLongForm(t) {
		times = 40
	}
	c := newCluster(t, shape{advert: "100ms"})
	c.answering()
	c.startMaster()
	const before, after = 100 * time.Millisecond, 1200 * time.Millisecond // a director looks once a second whether the time is up
	open, gone := 0, 0
	for i := range times {
		held := measure.OpenConnections(c.client, vipPort, 2)
		want := map[string]int{"mysql2": held.Servers()["mysql2"]}
		if len(held.Servers()) != 2 {
			t.Fatalf("%d: both connections go to one server: %v", i, held.Servers())
		}
		c.master.mustCtl("drain", "mysql/mysql1", "--timeout", "5s")
		until := c.master.overrides(t)[0].Patience
		c.master.awaitEntry(rs1, 0)
		time.Sleep(time.Until(until) - before + time.Duration(random.Int64N(int64(before+after))))
		c.master.daemon.Kill()
		if c.master.hasEntry(rs1, 0) == nil {
			open++
		} else {
			gone++
		}
		if kept := c.master.overrides(t); len(kept) != 1 || kept[0].Kind != override.Drain || !kept[0].Patience.Equal(until) {
			t.Errorf("%d: the state file has %+v", i, kept)
		}
		c.master.start().WaitLog("to=MASTER", soon)
		c.master.awaitEntry(rs1, -1)
		if err := c.master.hasEntry(rs2, 1); err != nil {
			t.Error(err)
		}
		alive(t, fmt.Sprintf("%d: after the drain", i), held, want)
		held.Close()
		c.master.mustCtl("enable", "mysql/mysql1")
		c.master.awaitEntry(rs1, 1)
	}
	t.Logf("killed %d times before the entry was removed, %d times after that", open, gone)
}

// overrides returns what the state file has.
func (n *node) overrides(t *testing.T) []override.Override {
	t.Helper()
	data, err := os.ReadFile(n.Path("state", "state.json"))
	if err != nil {
		t.Fatal(err)
	}
	var state struct {
		Overrides []override.Override `json:"overrides"`
	}
	if err := json.Unmarshal(data, &state); err != nil {
		t.Fatal(fmt.Errorf("%w: %s", err, data))
	}
	return state.Overrides
}
