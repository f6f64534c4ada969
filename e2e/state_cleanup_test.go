package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// traces is everything on a host that the daemons may change: addresses without their lifetimes, the IPVS table, sysctls.
func traces(h *lab.Host) string {
	var addresses []string
	for _, line := range strings.Split(h.Run("ip", "-o", "addr"), "\n") {
		line, _, _ = strings.Cut(line, `\`)
		if !strings.Contains(line, "inet6") { // which becomes permanent by and by
			addresses = append(addresses, line)
		}
	}
	return strings.Join(addresses, "\n") + h.Run("ipvsadm", "-Sn") +
		h.Run("sysctl", "-a", "-r", `^net\.ipv4\.(ip_forward$|vs\.|conf\.(all|default|eth0)\.)`)
}

// leftNothing compares with the traces from before a daemon ran.
func leftNothing(t *testing.T, h *lab.Host, before string) {
	t.Helper()
	after := traces(h)
	had := map[string]bool{}
	for _, line := range strings.Split(before, "\n") {
		had[line] = true
	}
	for _, line := range strings.Split(after, "\n") {
		if !had[line] {
			t.Errorf("%s has now: %s", h.Name, line)
		}
		delete(had, line)
	}
	for line := range had {
		t.Errorf("%s has no more: %s", h.Name, line)
	}
}

// foreign puts services into the table that are somebody else's: of another address, of another port of the VIP, and of
// a firewall mark. The function returned says whether they are as they were.
func foreign(n *node) func() error {
	n.t.Helper()
	n.Run("ipvsadm", "-A", "-t", "10.77.0.200:80", "-s", "wlc", "-p", "60")
	n.Run("ipvsadm", "-a", "-t", "10.77.0.200:80", "-r", "10.77.0.21", "-g", "-w", "5")
	n.Run("ipvsadm", "-A", "-t", vip+":80", "-s", "sh")
	n.Run("ipvsadm", "-a", "-t", vip+":80", "-r", "10.77.0.11", "-g", "-w", "2")
	n.Run("ipvsadm", "-A", "-f", "7", "-s", "rr")
	theirs := func() string {
		var lines []string
		for _, line := range strings.Split(n.Run("ipvsadm", "-Sn"), "\n") {
			if !strings.Contains(line, vipPort) {
				lines = append(lines, line)
			}
		}
		return strings.Join(lines, "\n")
	}
	before := theirs()
	return func() error {
		if now := theirs(); now != before {
			return fmt.Errorf("foreign services were\n%s\nand are\n%s", before, now)
		}
		return nil
	}
}

// TestNothingIsLeftBehind: the director and the agent touch only what is theirs, and a graceful stop gives everything
// back: VIP, virtual servers, sysctls. Foreign services stay through start, run, reload and stop.
//
// Proves docs/quickstart.md: "VIPs, virtual servers and sysctls of ours are gone with the daemon; sysctls have the
// values that they had before."
// Proves docs/limits.md: "**Foreign virtual servers** in the IPVS table are left alone."
func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	c := newCluster(t, shape{advert: "100ms", server: "persistence: {timeout: 50s}"})
	c.answering()
	untouched := foreign(c.master)
	director, agent := traces(c.master.Host), traces(c.mysql1.Host)
	c.startMaster()
	if now := c.master.SysctlValue("net.ipv4.vs.expire_nodest_conn"); now != "1" {
		t.Errorf("expire_nodest_conn is %s while the director runs, want 1", now)
	}
	if held := measure.Hold(c.client, vipPort, 2).Alive(); held["mysql1"]+held["mysql2"] != 2 {
		t.Errorf("alive %v", held)
	}
	c.reload("weight: 1", "weight: 4")
	lab.Eventually(t, soon, func() error {
		if got := c.master.table().Service(vipPort).Server("10.77.0.11:3306").Weight; got != 4 {
			return fmt.Errorf("weight %d after the reload, want 4", got)
		}
		return nil
	})
	lab.Steadily(t, 1200*time.Millisecond, untouched) // longer than between two audits of the table
	for _, stopped := range []struct {
		*node
		before string
	}{{c.master, director}, {c.mysql1, agent}} {
		if code := stopped.daemon.Stop(); code != 0 {
			t.Errorf("%s: exit code %d after SIGTERM, want 0", stopped.daemon, code)
		}
		leftNothing(t, stopped.Host, stopped.before)
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

// TestAdoption: a director that only balances (the VIP is the administrator's) is killed and starts again. It takes
// over the table that it finds: no connection breaks and no client waits, also when its first checks of a real server
// are lost.
//
// Proves README.md: "A daemon that crashed adopts it at its next start and writes only the difference: connections live
// on."
// Proves docs/checks.md: "One that the director finds in the kernel's table, as after a crash, has connections that one
// lost packet must not cost: it goes after `fall` failures, and until then, for 30 s at most, the director takes the
// VIP from no other."
// Proves docs/cluster-file.md: "Directors that only balance, without an election, leave `vrrp_instances` out; the
// virtual server's address is then one that something else puts on the machine."
func TestAdoption(t *testing.T) {
	c := newCluster(t, shape{})
	c.net.File("cluster.yaml", balanceFile)
	c.answering()
	c.master.Run("ip", "addr", "add", heldBy, "dev", "eth0")
	c.startMaster()
	held := measure.Hold(c.client, vipPort, 10)
	open := c.master.table().Service(vipPort).Server("10.77.0.11:3306").Active
	if open != 5 {
		t.Errorf("%d connections to mysql1 are counted as open, want 5", open)
	}
	measured := measure.Start(c.client, vipPort, measure.Options{Patience: time.Second})
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
	c.mysql1.Link("eth0").DropNothing()
	lab.Steadily(t, 500*time.Millisecond, func() error { // an entry that is taken out and put back is missing in one of the looks
		table := c.master.ReadFile("/proc/thread-self/net/ip_vs")
		for _, entry := range []string{"TCP  0A4D0064:0CEA rr", "0A4D000B:0CEA      Route   1", "0A4D000C:0CEA      Route   1"} {
			if !strings.Contains(table, entry) {
				return fmt.Errorf("no %q in\n%s", entry, table)
			}
		}
		return nil
	})
	again.WaitLog("directing", soon)
	lab.Eventually(t, soon, func() error { // its first checks have come and the table is theirs
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
		t.Errorf("clients noticed: %v", result.Failures())
	}
	if alive := held.Alive(); alive["mysql1"] != 5 || alive["mysql2"] != 5 {
		t.Errorf("alive %v of 5 and 5: %v", alive, held.Errors())
	}
	if now := c.master.table().Service(vipPort).Server("10.77.0.11:3306").Active; now < open {
		t.Errorf("%d connections to mysql1 are counted as open, %d before", now, open)
	}
	if strings.Contains(again.Log(), "change=") {
		t.Errorf("the table was changed:\n%s", again.Log())
	}
	again.Stop()
	if table := c.master.table(); len(table.Services) != 0 || !c.master.holds() {
		t.Errorf("a stop must leave no virtual server, and the VIP to whoever put it there:\n%s", table.Text)
	}
}

// TestCleanup: what a killed director left is removed on demand, the VIP alone or everything; never what is foreign,
// and never beside a running director.
//
// Proves docs/quickstart.md: "If a director was killed and is not to be started again, `lvs-director cleanup` does the
// same for what it left."
// Proves docs/operations.md: "Only a directory that another daemon holds is a reason not to start; and `cleanup` needs
// the lock, for it must know that no daemon runs."
func TestCleanup(t *testing.T) {
	t.Parallel()
	c := newCluster(t, shape{advert: "100ms", instance: "lease: 1h"}) // the lease does not do it
	c.answering()
	untouched := foreign(c.master)
	before := traces(c.master.Host)
	c.startMaster()
	cleanup := func(args ...string) (string, error) {
		args = append([]string{c.master.binary, "cleanup", "--config", c.file, "--state-dir", c.master.Path("state")}, args...)
		return c.master.Try(args...)
	}
	_, err := cleanup()
	lines := strings.Split(fmt.Sprint(err), "\n")
	if last := lines[len(lines)-1]; lab.ExitCode(err) != 1 || !strings.Contains(last, "lvs-director: ") || !strings.Contains(last, c.master.Path("state")) {
		t.Errorf("cleanup beside a running director: %v, want exit code 1 and a sentence that names the state directory", err)
	}
	if !c.master.holds() || tableHas(c.master, "10.77.0.11:3306", "10.77.0.12:3306") != nil {
		t.Fatal("cleanup beside a running director has taken something away")
	}

	c.master.daemon.Kill()
	held := measure.Hold(c.client, vipPort, 4) // the kernel goes on without the daemon
	if _, err := cleanup("--addresses"); err != nil || c.master.holds() {
		t.Errorf("cleanup --addresses: %v; the VIP is there: %t", err, c.master.holds())
	}
	if problem := tableHas(c.master, "10.77.0.11:3306", "10.77.0.12:3306"); problem != nil {
		t.Errorf("cleanup --addresses must leave the table for adoption: %v", problem)
	}
	c.master.start()
	c.awaitHolder(c.master, soon)
	if alive := held.Alive(); alive["mysql1"] != 2 || alive["mysql2"] != 2 {
		t.Errorf("alive %v of 2 and 2: %v", alive, held.Errors())
	}

	c.master.daemon.Kill()
	c.edit("scheduler: rr", "scheduler: best") // no reason to leave anything behind: the state directory names it
	for _, which := range []string{"first", "second"} {
		if out, err := cleanup(); err != nil {
			t.Errorf("%s cleanup: %v\n%s", which, err, out)
		}
		leftNothing(t, c.master.Host, before)
	}
	if problem := untouched(); problem != nil {
		t.Error(problem)
	}
}
