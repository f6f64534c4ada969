package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// hostState returns everything on a host that the daemons may change: addresses without their lifetimes, the IPVS
// table, sysctls.
func hostState(h *lab.Host) string {
	var addresses []string
	for _, line := range strings.Split(h.Run("ip", "-o", "addr"), "\n") {
		line, _, _ = strings.Cut(line, `\`)
		if !strings.Contains(line, "inet6") { // its flags change when duplicate address detection ends
			addresses = append(addresses, line)
		}
	}
	return strings.Join(addresses, "\n") + h.Run("ipvsadm", "-Sn") +
		h.Run("sysctl", "-a", "-r", `^net\.ipv4\.(ip_forward$|vs\.|conf\.(all|default|eth0)\.)`)
}

// assertRestored fails the test if the hostState differs from before, the one before the daemon was started.
func assertRestored(t *testing.T, h *lab.Host, before string) {
	t.Helper()
	after := hostState(h)
	had := map[string]bool{}
	for _, line := range strings.Split(before, "\n") {
		had[line] = true
	}
	for _, line := range strings.Split(after, "\n") {
		if !had[line] {
			t.Errorf("%s has in addition: %s", h.Name, line)
		}
		delete(had, line)
	}
	for line := range had {
		t.Errorf("%s no longer has: %s", h.Name, line)
	}
}

// addForeignServices adds services to the table that are not the product's: of another address, of another port of the
// VIP, and of a firewall mark. The returned function returns an error if they have changed.
func addForeignServices(n *node) func() error {
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
			return fmt.Errorf("foreign services changed from\n%s\nto\n%s", before, now)
		}
		return nil
	}
}

// TestNothingIsLeftBehind: the director and the agent change only what is theirs, and a graceful stop restores the
// machine: VIP, virtual servers, sysctls. Foreign services stay through start, operation, reload and stop.
//
// Proves docs/quickstart.md: "The daemon removes its VIPs and virtual servers when it stops, and restores the previous
// values of the sysctls."
// Proves docs/limits.md: "**Virtual servers of other programs** in the IPVS table are left unchanged."
func TestNothingIsLeftBehind(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c := newCluster(t, shape{advert: "100ms", server: "persistence: {timeout: 50s}"})
	c.answering()
	untouched := addForeignServices(c.master)
	director, agent := hostState(c.master.Host), hostState(c.mysql1.Host)
	c.startMaster()
	if now := c.master.SysctlValue("net.ipv4.vs.expire_nodest_conn"); now != "1" {
		t.Errorf("expire_nodest_conn is %s while the director runs, want 1", now)
	}
	if held := measure.OpenConnections(c.client, vipPort, 2).Alive(); held["mysql1"]+held["mysql2"] != 2 {
		t.Errorf("alive %v", held)
	}
	c.reload("weight: 1", "weight: 4")
	lab.Eventually(t, soon, func() error {
		if got := c.master.table().Service(vipPort).Server("10.77.0.11:3306").Weight; got != 4 {
			return fmt.Errorf("weight %d after the reload, want 4", got)
		}
		return nil
	})
	lab.Consistently(t, 1200*time.Millisecond, untouched) // longer than the interval between two audits of the table
	for _, stopped := range []struct {
		*node
		before string
	}{{c.master, director}, {c.mysql1, agent}} {
		if code := stopped.daemon.Stop(); code != 0 {
			t.Errorf("%s: exit code %d after SIGTERM, want 0", stopped.daemon, code)
		}
		assertRestored(t, stopped.Host, stopped.before)
	}
}

// TestCleanup: `lvs-director cleanup` removes what a killed director left, the VIP alone or everything; never what is
// foreign, and never while a director runs.
//
// Proves docs/quickstart.md: "If a director was killed and will not be started again, `lvs-director cleanup` does the
// same."
// Proves docs/operations.md: "`lvs-director cleanup` needs the locks as well, to ensure that no director is running."
func TestCleanup(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	// A long lease, so that its end does not remove the VIP.
	c := newCluster(t, shape{advert: "100ms", instance: "lease: 1h"})
	c.answering()
	untouched := addForeignServices(c.master)
	before := hostState(c.master.Host)
	c.startMaster()
	cleanup := func(args ...string) (string, error) {
		args = append([]string{c.master.binary, "cleanup", "--config", c.file, "--state-dir", c.master.Path("state")}, args...)
		return c.master.Try(args...)
	}
	for _, state := range []string{"state", "other"} {
		c.master.refuses("cleanup beside a running director", 1, `lvs-director: lvs-director \(pid \d+\) runs in this network namespace already`,
			c.master.binary, "cleanup", "--config", c.file, "--state-dir", c.master.Path(state))
	}
	if !c.master.holds() || tableHas(c.master, "10.77.0.11:3306", "10.77.0.12:3306") != nil {
		t.Fatal("cleanup beside a running director has removed the VIP or table entries")
	}

	c.master.daemon.Kill()
	conns := measure.OpenConnections(c.client, vipPort, 4) // the kernel keeps forwarding without the daemon
	if _, err := cleanup("--addresses"); err != nil || c.master.holds() {
		t.Errorf("cleanup --addresses: %v; VIP still there: %t", err, c.master.holds())
	}
	if problem := tableHas(c.master, "10.77.0.11:3306", "10.77.0.12:3306"); problem != nil {
		t.Errorf("cleanup --addresses must leave the table for adoption: %v", problem)
	}
	c.master.start()
	c.awaitHolder(c.master, soon)
	if alive := conns.Alive(); alive["mysql1"] != 2 || alive["mysql2"] != 2 {
		t.Errorf("alive %v of 2 and 2: %v", alive, conns.Errors())
	}

	c.master.daemon.Kill()
	c.edit("scheduler: rr", "scheduler: best") // an unusable file does not matter: the state file lists what to remove
	for _, which := range []string{"first", "second"} {
		if out, err := cleanup(); err != nil {
			t.Errorf("%s cleanup: %v\n%s", which, err, out)
		}
		assertRestored(t, c.master.Host, before)
	}
	if problem := untouched(); problem != nil {
		t.Error(problem)
	}
}
