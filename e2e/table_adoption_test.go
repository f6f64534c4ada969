package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

// TestAdoptionOfAChangedFile: a director that crashed starts again with another cluster file and makes the table that
// of the file within a second. Connections to servers that stay go on, as do their counters. keepalived keeps the
// removed server and the old scheduler for ever.
//
// Proves docs/operations.md: "The IPVS table stays, and the next start takes it over: what the cluster file still names
// is not touched, and connections to it live on; what the file names no more is removed, and what differs is changed,
// within a second; what is new waits for its first good check."
// Proves docs/operations.md: "A start that fails (a missing module, a privilege) leaves the virtual servers and sysctls
// of an earlier run as they are: the next start adopts them."
func TestAdoptionOfAChangedFile(t *testing.T) {
	t.Parallel()
	const other, third = vip + ":3307", vip + ":3308"
	c := newCluster(t, shape{advert: "100ms", scheduler: "wrr", weights: [2]int{3, 1}})
	more := func(name string, port int) string {
		return fmt.Sprintf("  - {name: %s, address: %s, port: %d, scheduler: rr, forward: dr, checks: [], real_servers: [{name: mysql1, address: 10.77.0.11}]}\n", name, vip, port)
	}
	c.net.File("cluster.yaml", c.text()+more("other", 3307))
	mysql3 := c.node("mysql3", "10.77.0.13/24", "lvs-realserver")
	c.answering()
	untouched := foreign(c.master)
	c.startMaster()
	held := measure.Hold(c.client, vipPort, 8)
	if !c.master.table().Service(other).Exists() {
		t.Fatal("the virtual server that is to be removed is not there")
	}

	for trial := 1; ; trial++ {
		var before int
		lab.Eventually(t, soon, func() error { // the kernel sums them up every two seconds
			if before = c.connections("10.77.0.11:3306"); before < 6 {
				return fmt.Errorf("%d connections are counted for mysql1, of 6", before)
			}
			return nil
		})
		c.master.daemon.Kill()
		if trial == 1 {
			c.failsToStart(t)
		}
		c.net.File("cluster.yaml", strings.ReplaceAll(c.text(), more("other", 3307), "")+more("third", 3308))
		c.edit("scheduler: wrr", "scheduler: wlc", "10.77.0.11, weight: 3", "10.77.0.11, weight: 2",
			"      - {name: mysql2, address: 10.77.0.12, weight: 1}\n", "      - {name: mysql3, address: 10.77.0.13, weight: 1}\n")
		starved, begun := starvation(), time.Now()
		c.master.start()
		lab.Eventually(t, soon, func() error {
			table := c.master.table()
			main := table.Service(vipPort)
			switch {
			case table.Service(other).Exists():
				return fmt.Errorf("%s is still there", other)
			case !table.Service(third).Server("10.77.0.11:3308").Exists():
				return fmt.Errorf("no %s", third)
			case main.Scheduler != "wlc" || len(main.Servers) != 1 || main.Server("10.77.0.11:3306").Weight != 2:
				return fmt.Errorf("%+v", main)
			}
			return nil
		})
		took, stalls := time.Since(begun), starved()
		t.Logf("the table is the file's %s after the start; %d stalls of the machine", took.Round(time.Millisecond), len(stalls))
		if now := c.connections("10.77.0.11:3306"); now < before {
			t.Errorf("%d connections are counted for mysql1, %d before the start", now, before)
		}
		if took <= within(time.Second) {
			break
		}
		if len(stalls) == 0 || trial == 3 {
			t.Errorf("the table is the file's %s after the start, want %s at most", took, within(time.Second))
			break
		}
		t.Log("void: nobody had the CPU in time; again, from the old file")
		c.edit("scheduler: wlc", "scheduler: wrr", "10.77.0.11, weight: 2", "10.77.0.11, weight: 3",
			"      - {name: mysql3, address: 10.77.0.13, weight: 1}\n", "      - {name: mysql2, address: 10.77.0.12, weight: 1}\n", more("third", 3308), more("other", 3307))
		c.reload()
		c.awaitTable(c.master, "10.77.0.11:3306", "10.77.0.12:3306")
	}
	c.awaitHolder(c.master, soon)
	if alive := held.Alive(); alive["mysql1"] != 6 || alive["mysql2"] != 0 {
		t.Errorf("alive %v, want the 6 of mysql1 and none of mysql2, which was removed: %v", alive, held.Errors())
	}
	standin.Start(mysql3.Host, ":3306", "mysql3")
	c.awaitTable(c.master, "10.77.0.11:3306", "10.77.0.13:3306") // after its first good check
	c.reload(more("third", 3308), "")                            // the one that is ours beside the foreign ones
	lab.Eventually(t, soon, untouched)
}

// connections is how many the kernel has counted for a real server of the virtual server since it stands in the table.
func (c *cluster) connections(server string) (n int) {
	c.t.Helper()
	for line := range strings.Lines(c.master.Run("ipvsadm", "-Ln", "--stats", "--exact", "-t", vipPort)) {
		if fields := strings.Fields(line); len(fields) > 2 && fields[1] == server {
			if _, err := fmt.Sscan(fields[2], &n); err != nil {
				c.t.Fatalf("%q: %v", line, err)
			}
		}
	}
	return n
}

// failsToStart starts a director that may not have what it needs: what the one before it served stays.
func (c *cluster) failsToStart(t *testing.T) {
	t.Helper()
	before := c.master.table().Rule()
	d := c.master.Host.Start("failing", append([]string{"setpriv", "--bounding-set", "-net_raw"}, c.master.run()...)...)
	if code := d.Wait(soon); code != 1 {
		t.Errorf("without CAP_NET_RAW: exit code %d, want 1:\n%s", code, d.Log())
	}
	if now := c.master.table().Rule(); now != before {
		t.Errorf("the table after a start that failed:\n%s\nbefore:\n%s", now, before)
	}
	if got := c.master.SysctlValue("net.ipv4.vs.expire_nodest_conn"); got != "1" {
		t.Errorf("expire_nodest_conn is %s", got)
	}
}
