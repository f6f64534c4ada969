package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

// mustCtl runs lvsctl, which must succeed, and returns its output.
func (n *node) mustCtl(args ...string) string {
	n.t.Helper()
	out, err := n.ctl(args...)
	if err != nil {
		n.t.Fatalf("%s: lvsctl %q: %v\n%s", n.Name, args, err, out)
	}
	return out
}

// awaitEntry waits until the node's table has a real server with this weight; -1: not at all.
func (n *node) awaitEntry(server string, weight int) {
	n.t.Helper()
	lab.Eventually(n.t, soon, func() error { return n.hasEntry(server, weight) })
}

func (n *node) hasEntry(server string, weight int) error {
	table := n.table()
	s := table.Service(vipPort).Server(server)
	if s.Exists() != (weight >= 0) || s.Exists() && s.Weight != weight {
		return fmt.Errorf("%s: want the weight %d of %s:\n%s", n.Name, weight, server, table.Text)
	}
	return nil
}

// onlyFrom waits until attempts that were started after a time have had 50 answers, all from one server.
func onlyFrom(t *testing.T, client *measure.Client, server string, since time.Time) {
	t.Helper()
	by := map[string]int{}
	lab.Eventually(t, soon, func() error {
		clear(by)
		for _, a := range client.Attempts().Attempts {
			if a.Start.After(since) && a.Answered() {
				by[a.Server]++
			}
		}
		if by[server] < 50 {
			return fmt.Errorf("answers by %v", by)
		}
		return nil
	})
	if len(by) != 1 {
		t.Errorf("answers by %v, want %s alone", by, server)
	}
}

// alive checks that the held connections to the servers answer: as many as there are, or none of a server.
func alive(t *testing.T, when string, held *measure.Connections, want map[string]int) {
	t.Helper()
	if got := held.Alive(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: of the open connections %v answer, want %v: %v", when, got, want, held.Errors())
	}
}

// TestDrain: a server is drained while a client opens a connection every 5 ms and others are held open. No connection
// fails or breaks, the server gets no new ones, and it has an entry until the last one has ended. Then it is stopped,
// started and enabled.
//
// Proves docs/maintenance.md: "No new connection goes to it from that moment on, and those that are open go on."
// Proves docs/maintenance.md: "The decision outlives a restart, a reload and a reboot of the director"
func TestDrain(t *testing.T) {
	lab.Need(t, lab.IPVS)
	c := newCluster(t, shape{advert: "100ms"})
	one, _ := c.answering()
	c.startAll()
	held := measure.OpenConnections(c.client, vipPort, 6)
	client := measure.Start(c.client, vipPort, measure.Options{Every: 5 * time.Millisecond})
	client.WaitAnswered("mysql1", soon)

	out := c.master.mustCtl("drain", "mysql/mysql1", "--reason", "new kernel")
	if !strings.Contains(out, "mysql/mysql1: draining, ") || !strings.Contains(out, "run the same on lvs-backup, too") {
		t.Errorf("lvsctl drain printed %q", out)
	}
	c.master.awaitEntry(rs1, 0)
	onlyFrom(t, client, "mysql2", time.Now())
	alive(t, "while it drains", held, map[string]int{"mysql1": 3, "mysql2": 3})
	c.ctlPrints(c.master, 0, "OK: .*; mysql/mysql1: drain", "status", "--check")
	c.ctlPrints(c.backup, 0, `up\s*$`, "status", "--check")
	c.ctlPrints(c.master, 0, `mysql1 +10.77.0.11:3306 +draining .*draining: 3 connections are open; by root since .* \(new kernel\)`, "status")
	c.edit("10.77.0.12, weight: 1", "10.77.0.12, weight: 2")
	c.master.mustCtl("reload")
	c.master.awaitEntry(rs2, 2)
	lab.Consistently(t, 3*time.Second, func() error { return c.master.hasEntry(rs1, 0) })
	alive(t, "after a reload", held, map[string]int{"mysql1": 3, "mysql2": 3})

	waiting := c.master.Start("lvsctl-drain", program(t, "lvsctl"), "--socket", c.master.socket, "drain", "mysql/mysql1", "--reason", "new kernel", "--wait")
	waiting.WaitLog("3 connections are open", soon)
	held.CloseOf("mysql1")
	if code := waiting.Wait(soon); code != 0 || !strings.Contains(waiting.Log(), "mysql/mysql1: drained: it can be stopped") {
		t.Errorf("lvsctl drain --wait: exit code %d:\n%s", code, waiting.Log())
	}
	c.master.awaitEntry(rs1, -1)
	c.ctlPrints(c.master, 0, `mysql1 +10.77.0.11:3306 +disabled .*disabled: it has been drained by root since .*up: tcp`, "status")
	one.Stop()
	c.ctlPrints(c.master, 0, "OK: ", "status", "--check")
	c.mysql1Answers()
	c.master.mustCtl("enable", "mysql/mysql1")
	c.master.awaitEntry(rs1, 1)
	client.WaitAnswered("mysql1", soon)
	alive(t, "at the end", held, map[string]int{"mysql2": 3})
	if r := client.Stop(); r.Failed() > 0 {
		t.Errorf("%d failures: %v", r.Failed(), r.Failures())
	}
	c.follows(c.master.events(), "override_changed mysql/mysql1: -> drain", "override_changed mysql/mysql1: drain -> drain", "drain_ended mysql/mysql1: -> drained", "override_changed mysql/mysql1: drain ->")
}

// mysql1Answers starts the stand-in on mysql1 again.
func (c *cluster) mysql1Answers() {
	c.t.Helper()
	standin.Start(c.mysql1.Host, ":3306", "mysql1")
	lab.Eventually(c.t, soon, func() error {
		if r := c.master.status().VirtualServers[0].RealServers[0]; r.Code != "ok" {
			return fmt.Errorf("%+v", r)
		}
		return nil
	})
}

// TestDrainTimeout: connections are cut when the time is up, and only those; disable cuts them at once. A weight is in
// the table, and outlives a restart.
//
// Proves docs/maintenance.md: "When the time is up, connections that are still open are cut"
// Proves docs/maintenance.md: "`lvsctl disable` takes a server out at once"
func TestDrainTimeout(t *testing.T) {
	lab.Need(t, lab.IPVS)
	c := newCluster(t, shape{advert: "100ms"})
	c.answering()
	c.startMaster()
	held := measure.OpenConnections(c.client, vipPort, 4)
	c.master.mustCtl("drain", "mysql1", "--timeout", "4s", "--for", "1h")
	c.master.awaitEntry(rs1, 0)
	alive(t, "before the time is up", held, map[string]int{"mysql1": 2, "mysql2": 2})
	c.master.awaitEntry(rs1, -1)
	alive(t, "when the time is up", held, map[string]int{"mysql2": 2})
	c.follows(c.master.events(), "override_changed mysql1: -> drain", "drain_ended mysql/mysql1: -> timeout")

	c.ctlPrints(c.master, 1, "mysql2 is the last real server of mysql that takes connections", "disable", "mysql2")
	c.master.awaitEntry(rs2, 1)
	c.master.mustCtl("enable", "mysql1")
	c.master.awaitEntry(rs1, 1)
	c.master.mustCtl("disable", "10.77.0.12")
	c.master.awaitEntry(rs2, -1)
	alive(t, "disabled", held, map[string]int{})
	client := measure.Start(c.client, vipPort, measure.Options{})
	onlyFrom(t, client, "mysql1", time.Now())
	c.master.mustCtl("weight", "mysql/mysql1", "7", "--reason", "half the memory")
	c.master.awaitEntry(rs1, 7)
	c.master.daemon.Kill()
	c.master.start()
	c.master.daemon.WaitLog("to=MASTER", soon)
	lab.Consistently(t, 3*time.Second, func() error {
		if err := c.master.hasEntry(rs2, -1); err != nil {
			return err
		}
		return c.master.hasEntry(rs1, 7)
	})
	c.ctlPrints(c.master, 0, `mysql1 .* 7 of 1 .*weight 7 by root since .* \(half the memory\)`, "status")
	c.master.mustCtl("drain", "mysql1", "--force")
	c.master.awaitEntry(rs1, 0)
	c.ctlPrints(c.master, 2, "CRITICAL: mysql: takes no connections.*an operator has taken out mysql1, mysql2, whose checks pass", "status", "--check")
	if r := client.Stop(); r.AnsweredBy()["mysql1"] == 0 {
		t.Errorf("no answers: %s", r)
	}
}

// TestDrainOfPools: with persistence a known client goes to another server when its own is drained, while its open
// connections go on; with mh the entry stays, so that the clients of the others keep their servers.
//
// Proves docs/maintenance.md: "With `persistence`, a known client goes to another server with its next connection."
// Proves docs/maintenance.md: "With the scheduler `mh` the entry stays, with weight 0"
// Proves docs/maintenance.md: "remove the entry also then, so that connections are cut"
func TestDrainOfPools(t *testing.T) {
	lab.Need(t, lab.IPVS)
	for name, s := range map[string]shape{
		"persistence": {advert: "100ms", server: "persistence: {timeout: 300s}"},
		"mh":          {advert: "100ms", scheduler: "mh", server: "scheduler_flags: [fallback]"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, s)
			c.answering()
			c.startMaster()
			held := measure.OpenConnections(c.client, vipPort, 2)
			its, other, entry := "mysql1", "mysql2", rs1
			if held.Servers()["mysql2"] > 0 {
				its, other, entry = "mysql2", "mysql1", rs2
			}
			if held.Servers()[its] != 2 {
				t.Fatalf("one client is at %v", held.Servers())
			}
			c.master.mustCtl("drain", "mysql/"+its)
			c.master.awaitEntry(entry, 0)
			alive(t, "while it drains", held, map[string]int{its: 2})
			client := measure.Start(c.client, vipPort, measure.Options{})
			onlyFrom(t, client, other, time.Now())
			held.CloseOf(its)
			if name == "mh" {
				c.master.daemon.WaitLog(`msg="drain ended".*how=drained`, soon)
				lab.Consistently(t, 2*time.Second, func() error { return c.master.hasEntry(entry, 0) })
			} else {
				c.master.awaitEntry(entry, -1)
			}
			if r := client.Stop(); r.Failed() > 0 {
				t.Errorf("%d failures: %v", r.Failed(), r.Failures())
			}
			if name == "mh" {
				c.master.mustCtl("enable", its)
				c.master.awaitEntry(entry, 1)
				held := measure.OpenConnections(c.client, vipPort, 2)
				alive(t, "enabled", held, map[string]int{its: 2})
				c.master.mustCtl("disable", its)
				c.master.awaitEntry(entry, -1)
				alive(t, "disabled", held, map[string]int{})
			}
		})
	}
}

// TestMaintenanceDir: a file drains a server while it is there, also one that is there at a start.
//
// Proves docs/maintenance.md: "A change takes effect at once, without a reload."
func TestMaintenanceDir(t *testing.T) {
	lab.Need(t, lab.IPVS)
	c := newCluster(t, shape{advert: "100ms"})
	dir := c.master.Path("maintenance")
	c.edit("version: 1\n", "version: 1\nmaintenance_dir: "+dir+"\n")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	c.answering()
	c.startMaster()
	held := measure.OpenConnections(c.client, vipPort, 2)
	c.master.Run("touch", dir+"/10.77.0.11")
	c.master.awaitEntry(rs1, 0)
	alive(t, "while it drains", held, map[string]int{"mysql1": 1, "mysql2": 1})
	c.ctlPrints(c.master, 1, "mysql/mysql1 is drained by the file .*/10.77.0.11: remove it", "enable", "mysql1")
	c.ctlPrints(c.master, 0, "OK: .*10.77.0.11: drain", "status", "--check")
	held.CloseOf("mysql1")
	c.master.awaitEntry(rs1, -1)
	c.master.daemon.Stop()
	mark := c.master.start().Mark()
	mark.WaitLog("to=MASTER", soon)
	c.master.awaitEntry(rs2, 1)
	lab.Consistently(t, 2*time.Second, func() error { // by no means with a weight
		if c.master.hasEntry(rs1, 0) != nil {
			return c.master.hasEntry(rs1, -1)
		}
		return nil
	})
	if strings.Contains(c.master.daemon.Log(), "10.77.0.11:3306 -g -w 1") {
		t.Error("mysql1 got connections at the start")
	}
	c.master.Run("rm", dir+"/10.77.0.11")
	c.master.awaitEntry(rs1, 1)
	c.master.Run("mv", dir, dir+".gone")
	lab.Eventually(t, soon, func() error {
		if out, err := c.master.ctl("status", "--check"); lab.ExitCode(err) != 1 || !strings.Contains(out, "maintenance_dir: "+dir+" does not exist") {
			return fmt.Errorf("%v: %s", err, out)
		}
		return nil
	})
}
