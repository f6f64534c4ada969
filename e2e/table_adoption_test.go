package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

// TestAdoptionOfAChangedFile: a director that was killed and starts again with another cluster file makes the table
// that of the file within a second. Connections to servers that stay continue, and so do their counters. keepalived
// keeps the removed server and the old scheduler forever.
//
// Proves docs/operations.md: "The IPVS table stays, and the next start adopts it: entries that are still in the cluster
// file are unchanged, and their connections survive; entries that are no longer in the file are removed and entries
// that differ are changed, within a second; new servers are added after their first successful check."
// Proves docs/operations.md: "A failed start (a missing module or privilege) leaves the virtual servers and sysctls of
// an earlier run unchanged: the next start adopts them."
func TestAdoptionOfAChangedFile(t *testing.T) {
	lab.Need(t, lab.IPVS)
	const other, third, gone = vip + ":3307", vip + ":3308", vip + ":3309"
	c := newCluster(t, shape{advert: "100ms", scheduler: "wrr", weights: [2]int{3, 1}})
	more := func(name string, port int) string {
		return fmt.Sprintf("  - {name: %s, address: %s, port: %d, scheduler: rr, forward: dr, checks: [], real_servers: [{name: mysql1, address: 10.77.0.11}]}\n", name, vip, port)
	}
	c.net.File("cluster.yaml", c.text()+more("other", 3307)+more("gone", 3309))
	mysql3 := c.node("mysql3", "10.77.0.13/24", "lvs-realserver")
	c.answering()
	untouched := addForeignServices(c.master)
	c.startMaster()
	conns := measure.OpenConnections(c.client, vipPort, 8)
	if !c.master.table().Service(other).Exists() {
		t.Fatal("the virtual server that is to be removed does not exist")
	}

	var before int
	lab.Eventually(t, soon, func() error { // the kernel updates the counters every two seconds
		if before = c.connections("10.77.0.11:3306"); before < 6 {
			return fmt.Errorf("%d connections are counted for mysql1, of 6", before)
		}
		return nil
	})
	c.master.daemon.Kill()
	c.failsToStart(t)
	c.master.Run("ipvsadm", "-D", "-t", gone)
	c.net.File("cluster.yaml", strings.ReplaceAll(c.text(), more("other", 3307)+more("gone", 3309), "")+more("third", 3308))
	c.edit("scheduler: wrr", "scheduler: wlc", "10.77.0.11, weight: 3", "10.77.0.11, weight: 2",
		"      - {name: mysql2, address: 10.77.0.12, weight: 1}\n", "      - {name: mysql3, address: 10.77.0.13, weight: 1}\n")
	again := c.master.start()
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
	again.WaitLog("msg=directing", soon)
	c.master.Run("ipvsadm", "-A", "-t", gone, "-s", "sh") // by another program, as late as this
	first, last := again.LogLines()[0].At, again.Last("msg=table change=").At
	if took := last.Sub(first); took > time.Second+allowance {
		t.Errorf("the table is that of the file %s after the director's first log line, want at most %s", took, time.Second)
	}
	if now := c.connections("10.77.0.11:3306"); now < before {
		t.Errorf("%d connections are counted for mysql1, %d before the start", now, before)
	}
	c.awaitHolder(c.master, soon)
	if alive := conns.Alive(); alive["mysql1"] != 6 || alive["mysql2"] != 0 {
		t.Errorf("alive %v, want the 6 of mysql1 and none of mysql2, which was removed: %v", alive, conns.Errors())
	}
	standin.Start(mysql3.Host, ":3306", "mysql3")
	c.awaitTable(c.master, "10.77.0.11:3306", "10.77.0.13:3306") // after its first good check
	c.reload(more("third", 3308), "")                            // ours, beside the foreign ones
	c.master.Run("ipvsadm", "-d", "-t", vipPort, "-r", "10.77.0.13:3306")
	c.awaitTable(c.master, "10.77.0.11:3306", "10.77.0.13:3306") // the whole table was read
	if !c.master.table().Service(gone).Exists() {
		t.Errorf("%s, which another program added after the start, was deleted", gone)
	}
	c.master.Run("ipvsadm", "-D", "-t", gone)
	lab.Eventually(t, soon, untouched)
}

// connections returns the number of connections that the kernel has counted for a real server since it was added to the
// table.
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

// failsToStart starts a director without a privilege that it needs: the table and sysctls of the previous run must
// stay.
func (c *cluster) failsToStart(t *testing.T) {
	t.Helper()
	before := c.master.table().Rule()
	d := c.master.Host.Start("failing", append([]string{"setpriv", "--bounding-set", "-net_raw"}, c.master.runArgs()...)...)
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

const balanceFile = `version: 1
directors: [{name: lvs-master, address: 10.77.0.2}]
virtual_servers:
  - name: mysql
    address: 10.77.0.100
    port: 3306
    scheduler: rr
    forward: dr
    checks: [{type: tcp, interval: 200ms, timeout: 150ms, fall: 50}]
    real_servers: [{name: mysql1, address: 10.77.0.11}, {name: mysql2, address: 10.77.0.12}]
`

// TestAdoption: a director that only balances (the VIP is the administrator's) is killed and starts again. It adopts
// the existing table: no connection breaks and no client waits, even if its first checks of a real server are lost.
//
// Proves docs/index.md: "After a crash the next start adopts the table and writes only the differences, so connections
// survive."
// Proves docs/checks.md: "A server that the director finds in the kernel's table, as after a crash, has connections
// that a single lost packet must not break: it is removed after `fall` failures, and until then, for 30 s at most, the
// director does not preempt another MASTER."
// Proves docs/cluster-file.md: "Directors that only balance, without an election, leave out `vrrp_instances`; something
// else must then put the virtual server's address on the machine."
func TestAdoption(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.AnyKernel(t)
	c := newCluster(t, shape{})
	c.net.File("cluster.yaml", balanceFile)
	c.answering()
	c.master.Run("ip", "addr", "add", vipPrefix, "dev", "eth0")
	for _, n := range []*node{c.mysql1, c.mysql2, c.master} {
		n.start()
	}
	c.awaitTable(c.master, "10.77.0.11:3306", "10.77.0.12:3306")
	conns := measure.OpenConnections(c.client, vipPort, 10)
	open := c.master.table().Service(vipPort).Server("10.77.0.11:3306").Active
	if open != 5 {
		t.Errorf("%d connections to mysql1 are counted as open, want 5", open)
	}
	measured := measure.Start(c.client, vipPort, measure.Options{Timeout: time.Second})
	measured.WaitAnswered("", soon)

	c.master.daemon.Kill()
	c.mysql1.Link("eth0").Drop(lab.ToHost, "tcp and src host 10.77.0.2")
	again := c.master.start()
	lab.Eventually(t, soon, func() error {
		out, err := c.master.ctl("status")
		if err == nil && !strings.Contains(out, "of 50 failures; it was in the table when this director started") {
			err = errors.New(out)
		}
		return err
	})
	c.mysql1.Link("eth0").StopDropping()
	// Polled often enough to see an entry that is removed and added again.
	lab.Consistently(t, 500*time.Millisecond, func() error {
		table := c.master.ReadFile("/proc/thread-self/net/ip_vs")
		for _, entry := range []string{"TCP  0A4D0064:0CEA rr", "0A4D000B:0CEA      Route   1", "0A4D000C:0CEA      Route   1"} {
			if !strings.Contains(table, entry) {
				return fmt.Errorf("no %q in\n%s", entry, table)
			}
		}
		return nil
	})
	again.WaitLog("directing", soon)
	lab.Eventually(t, soon, func() error { // its first checks have passed and the table is under its control
		if state := c.master.status().VirtualServers; len(state) != 1 || state[0].State != "up" {
			return fmt.Errorf("not up: %+v", state)
		}
		return nil
	})
	measured.WaitAnswered("mysql1", soon)
	measured.WaitAnswered("mysql2", soon)
	result := measured.Stop()
	t.Log(result)
	if result.Failed() > 0 {
		t.Errorf("client connections failed: %v", result.Failures())
	}
	if alive := conns.Alive(); alive["mysql1"] != 5 || alive["mysql2"] != 5 {
		t.Errorf("alive %v of 5 and 5: %v", alive, conns.Errors())
	}
	if now := c.master.table().Service(vipPort).Server("10.77.0.11:3306").Active; now < open {
		t.Errorf("%d connections to mysql1 are counted as open, %d before", now, open)
	}
	if strings.Contains(again.Log(), "change=") {
		t.Errorf("the table was changed:\n%s", again.Log())
	}
	again.Stop()
	if table := c.master.table(); len(table.Services) != 0 || !c.master.holds() {
		t.Errorf("a stop must remove the virtual server and keep the administrator's VIP:\n%s", table.Text)
	}
}
