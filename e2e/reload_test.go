package e2e

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

// edit replaces texts in the cluster file, one after the other. Each old text must occur in it.
func (c *cluster) edit(oldNew ...string) {
	c.t.Helper()
	data, err := os.ReadFile(c.file)
	if err != nil {
		c.t.Fatal(err)
	}
	text := string(data)
	for i := 0; i < len(oldNew); i += 2 {
		if !strings.Contains(text, oldNew[i]) {
			c.t.Fatalf("the cluster file has no %q:\n%s", oldNew[i], text)
		}
		text = strings.ReplaceAll(text, oldNew[i], oldNew[i+1])
	}
	c.net.File("cluster.yaml", text)
}

// reload edits the cluster file and reloads lvs-master.
func (c *cluster) reload(oldNew ...string) {
	c.t.Helper()
	c.edit(oldNew...)
	if out, err := c.master.ctl("reload"); err != nil || out != "reloaded\n" {
		c.t.Fatalf("lvsctl reload: %v %q", err, out)
	}
}

// TestReload: a reload applies what changed in the file and nothing else; connections stay.
//
// Proves docs/operations.md: "Connections, elections and the state of unchanged checks are kept; a server that was down
// stays down until its checks pass."
// Proves docs/quickstart.md: "An invalid file changes nothing, and the reload reports why."
func TestReload(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c := newCluster(t, shape{advert: "100ms", scheduler: "wrr", weights: [2]int{3, 1}})
	mysql3 := c.node("mysql3", "10.77.0.13/24", "lvs-realserver")
	c.answering()
	c.startMaster()
	conns := measure.OpenConnections(c.client, vipPort, 8)
	log := c.master.daemon.Mark()
	measured := measure.Start(c.client, vipPort, measure.Options{Every: 20 * time.Millisecond, Timeout: time.Second})
	measured.WaitAnswered("", soon)
	awaitPool := func(scheduler string, weights map[string]int) {
		t.Helper()
		lab.Eventually(t, soon, func() error {
			service, want := c.master.table().Service(vipPort), weights
			got := map[string]int{}
			for _, server := range service.Servers {
				got[server.Address] = server.Weight
			}
			if service.Scheduler != scheduler || !maps.Equal(got, want) {
				return fmt.Errorf("%s %v, want %s %v", service.Scheduler, got, scheduler, want)
			}
			return nil
		})
		if alive := conns.Alive(); alive["mysql1"] != 6 || alive["mysql2"] != 2 {
			t.Errorf("alive %v of 6 and 2: %v", alive, conns.Errors())
		}
	}

	t.Run("weight and scheduler", func(t *testing.T) {
		c.reload("10.77.0.12, weight: 1", "10.77.0.12, weight: 2")
		awaitPool("wrr", map[string]int{"10.77.0.11:3306": 3, "10.77.0.12:3306": 2})
		c.reload("scheduler: wrr", "scheduler: wlc")
		awaitPool("wlc", map[string]int{"10.77.0.11:3306": 3, "10.77.0.12:3306": 2})
		service := c.master.table().Service(vipPort)
		if one, two := service.Server("10.77.0.11:3306"), service.Server("10.77.0.12:3306"); one.Active < 6 || two.Active < 2 {
			t.Errorf("%d and %d connections are counted as open, want at least 6 and 2", one.Active, two.Active)
		}
	})
	t.Run("invalid", func(t *testing.T) {
		good, err := os.ReadFile(c.file)
		if err != nil {
			t.Fatal(err)
		}
		rule := c.master.table().Rule()
		c.edit("scheduler: wlc", "scheduler: best", "weight: 3", "weight: 7")
		_, err = c.master.ctl("reload")
		if lab.ExitCode(err) == 0 || !strings.Contains(err.Error(), "cluster.yaml:20:16: virtual_servers[0].scheduler: ") {
			t.Errorf("reload of an invalid file: %v, want its position and a reason", err)
		}
		lab.Consistently(t, time.Second, func() error {
			if now := c.master.table().Rule(); now != rule {
				return fmt.Errorf("an invalid file changed the table from\n%sto\n%s", rule, now)
			}
			return nil
		})
		c.net.File("cluster.yaml", string(good))
	})
	const other = "10.77.0.100:3307"
	t.Run("added", func(t *testing.T) {
		c.reload("weight: 2}\n", `weight: 2}
      - {name: mysql3, address: 10.77.0.13, weight: 1}
  - {name: other, address: 10.77.0.100, port: 3307, scheduler: rr, forward: dr, checks: [], real_servers: [{name: mysql1, address: 10.77.0.11}]}
`)
		lab.Eventually(t, soon, func() error {
			if !c.master.table().Service(other).Exists() {
				return fmt.Errorf("no virtual server %s", other)
			}
			return nil
		})
		mysql3.start().WaitLog("VIP added", soon)
		// Nothing listens on its port yet.
		lab.Consistently(t, 500*time.Millisecond, inTable(c.master, "10.77.0.13:3306", false))
		standin.Start(mysql3.Host, ":3306", "mysql3")
		awaitPool("wlc", map[string]int{"10.77.0.11:3306": 3, "10.77.0.12:3306": 2, "10.77.0.13:3306": 1})
		measured.WaitAnswered("mysql3", soon)
	})
	if result := measured.Stop(); result.Failed() > 0 {
		t.Errorf("client connections failed: %s", result)
	}
	if log := log.Log(); strings.Contains(log, "ipvsadm -d") || strings.Contains(log, "ipvsadm -D") {
		t.Errorf("an entry was deleted meanwhile:\n%s", log)
	}
	t.Run("removed", func(t *testing.T) {
		c.reload("      - {name: mysql2, address: 10.77.0.12, weight: 2}\n", "", "  - {name: other, ", "#")
		lab.Eventually(t, soon, func() error {
			if c.master.table().Service(other).Exists() {
				return fmt.Errorf("the virtual server %s is still there", other)
			}
			return tableHas(c.master, "10.77.0.11:3306", "10.77.0.13:3306")
		})
		if alive := conns.Alive(); alive["mysql1"] != 6 || alive["mysql2"] != 0 {
			t.Errorf("alive %v, want the 6 of mysql1 and none of mysql2, which was removed", alive)
		}
		for _, err := range conns.Errors()["mysql2"] {
			if !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("a client of the removed server got %v, want a RST", err)
			}
		}
	})
}

// TestHangup: SIGHUP reloads the file: a valid one is applied, an invalid one changes nothing and is logged with the
// position of the error.
//
// Proves docs/operations.md: "`systemctl reload`, `lvsctl reload` and SIGHUP read the cluster file again. The result of
// a SIGHUP is in the log."
func TestHangup(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c := newCluster(t, shape{advert: relaxedAdvert.String(), scheduler: "wrr"})
	c.answering()
	c.master.start()
	c.awaitHolder(c.master, soon)
	c.awaitTable(c.master, "10.77.0.11:3306", "10.77.0.12:3306")

	c.rewrite("{name: mysql1, address: 10.77.0.11, weight: 1}", "{name: mysql1, address: 10.77.0.11, weight: 7}")
	c.master.daemon.Signal(syscall.SIGHUP)
	weighs := func(want int) error {
		if got := c.master.table().Service(vipPort).Server("10.77.0.11:3306").Weight; got != want {
			return fmt.Errorf("mysql1 has weight %d, want %d", got, want)
		}
		return nil
	}
	lab.Eventually(t, soon, func() error { return weighs(7) })

	before := c.master.table().Rule()
	c.rewrite("weight: 7}", "weight: 9}", "scheduler: wrr", "scheduler: best")
	mark := c.master.daemon.Mark()
	c.master.daemon.Signal(syscall.SIGHUP)
	mark.WaitLog(`level=ERROR msg="reload refused.*cluster\.yaml:\d+:\d+: virtual_servers\[0\]\.scheduler: `, soon)
	if after := c.master.table().Rule(); after != before {
		t.Errorf("a refused file changed the table to\n%sfrom\n%s", after, before)
	}
	if !c.master.holds() || !c.master.daemon.Running() {
		t.Error("after a refused file the director has exited or lost the VIP")
	}
}
