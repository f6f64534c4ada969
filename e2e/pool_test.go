package e2e

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

// fails makes the checks of a file fail, or pass.
func fails(t *testing.T, file string, yes bool) {
	t.Helper()
	text := ""
	if yes {
		text = "1\n"
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// saved returns the lines of `ipvsadm -Sn` in order.
func saved(h *lab.Host) string {
	lines := strings.Split(strings.TrimSpace(h.Run("ipvsadm", "-Sn")), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// TestPoolsOfKeepalived: a history of failures and returns of two real servers gives the same tables as keepalived, for a pool with
// quorum, hysteresis and a sorry server, and for one whose servers stay with weight 0.
//
// Proves docs/virtual-servers.md: "`quorum`, `hysteresis`, `sorry_server` and `inhibit_on_failure` mean what they mean in keepalived"
func TestPoolsOfKeepalived(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.Keepalived)
	c := &cluster{t: t, net: lab.New(t)}
	c.lan = c.net.Bridge("lan")
	one, two := c.net.File("one", ""), c.net.File("two", "")
	c.file = c.net.File("cluster.yaml", fmt.Sprintf(`version: 1
directors: [{name: lvs-master, address: 10.77.0.2}]
virtual_servers:
  - {name: quorum, address: 10.77.0.100, port: 1000, scheduler: wrr, forward: dr, quorum: 3, hysteresis: 1,
     real_servers: [&one {name: one, address: 10.77.0.11, weight: 3, checks: [{type: file, path: %s, interval: 200ms, fall: 1, rise: 1}]},
                    &two {name: two, address: 10.77.0.12, weight: 1, checks: [{type: file, path: %s, interval: 200ms, fall: 1, rise: 1}]}],
     sorry_server: {name: sorry, address: 10.77.0.20, weight: 1, checks: []}}
  - {name: inhibit, address: 10.77.0.100, port: 1001, scheduler: wrr, forward: dr, inhibit_on_failure: true, real_servers: [*one, *two],
     sorry_server: {name: sorry, address: 10.77.0.20, weight: 1, checks: []}}
  - {name: plain, address: 10.77.0.100, port: 1002, scheduler: wrr, forward: dr, real_servers: [*one, *two]}
`, one, two))
	var conf strings.Builder
	conf.WriteString("global_defs {\n script_user root\n}\n")
	for port, more := range map[int]string{1000: "quorum 3\n hysteresis 1\n sorry_server 10.77.0.20 1000", 1001: "inhibit_on_failure\n sorry_server 10.77.0.20 1001", 1002: ""} {
		fmt.Fprintf(&conf, "virtual_server 10.77.0.100 %d {\n delay_loop 1\n lb_algo wrr\n lb_kind DR\n protocol TCP\n alpha\n %s\n", port, more)
		for address, check := range map[string]struct {
			weight int
			file   string
		}{"10.77.0.11": {3, one}, "10.77.0.12": {1, two}} {
			fmt.Fprintf(&conf, " real_server %s %d {\n  weight %d\n  MISC_CHECK {\n   misc_path \"/usr/bin/test ! -s %s\"\n   delay_loop 1\n   retry 0\n  }\n }\n", address, port, check.weight, check.file)
		}
		conf.WriteString("}\n")
	}
	c.master = c.node("lvs-master", "10.77.0.2/24", "lvs-director")
	other := c.net.Host("keepalived", c.lan.At("10.77.0.3/24"))
	c.master.start()
	lab.StartKeepalived(other, conf.String())

	const quorum, inhibit, plain = "-t 10.77.0.100:1000", "-t 10.77.0.100:1001", "-t 10.77.0.100:1002"
	for _, step := range []struct { // one at a time: it matters which of two is noticed first
		name     string
		one, two bool // fail
		want     []string
	}{
		{"all are up", false, false, []string{quorum + " 11=3 12=1", inhibit + " 11=3 12=1", plain + " 11=3 12=1"}},
		{"the smaller one fails: 3 is not less than the quorum minus the hysteresis", false, true, []string{quorum + " 11=3", inhibit + " 11=3 12=0", plain + " 11=3"}},
		{"all have failed", true, true, []string{quorum + " 20=1", inhibit + " 11=0 12=0 20=1", plain}},
		{"the smaller one returns", true, false, []string{quorum + " 20=1", inhibit + " 11=0 12=1", plain + " 12=1"}},
		{"it fails again", true, true, []string{quorum + " 20=1", inhibit + " 11=0 12=0 20=1", plain}},
		{"the larger one returns: 3 is less than the quorum plus the hysteresis", false, true, []string{quorum + " 20=1", inhibit + " 11=3 12=0", plain + " 11=3"}},
		{"the smaller one, too", false, false, []string{quorum + " 11=3 12=1", inhibit + " 11=3 12=1", plain + " 11=3 12=1"}},
		{"the larger one fails: 1 is less than the quorum minus the hysteresis", true, false, []string{quorum + " 20=1", inhibit + " 11=0 12=1", plain + " 12=1"}},
		{"it returns", false, false, []string{quorum + " 11=3 12=1", inhibit + " 11=3 12=1", plain + " 11=3 12=1"}},
	} {
		fails(t, one, step.one)
		fails(t, two, step.two)
		for _, h := range []*lab.Host{c.master.Host, other} {
			lab.Eventually(t, soon, func() error {
				if got := pools(h); got != strings.Join(step.want, "\n") {
					return fmt.Errorf("%s: %s:\n%s\nwant\n%s", step.name, h.Name, got, strings.Join(step.want, "\n"))
				}
				return nil
			})
		}
		if ours, theirs := saved(c.master.Host), saved(other); ours != theirs {
			t.Errorf("%s:\n%s\nand with keepalived\n%s", step.name, ours, theirs)
		}
	}
}

// pools returns a line with the weights of the real servers for each service.
func pools(h *lab.Host) string {
	weights := map[string][]string{}
	for line := range strings.Lines(h.Run("ipvsadm", "-Sn")) {
		words := strings.Fields(line)
		key := strings.Join(words[1:3], " ")
		if words[0] == "-A" {
			weights[key] = append(weights[key], "")
			continue
		}
		server := strings.TrimPrefix(words[4], "10.77.0.")
		weights[key] = append(weights[key], server[:strings.Index(server, ":")]+"="+words[7])
	}
	var lines []string
	for key, all := range weights {
		slices.Sort(all)
		lines = append(lines, strings.TrimSpace(key+strings.Join(all, " ")))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// TestSorryServer: when the last real server fails, new clients go to the sorry server, and the status of both directors says so;
// when a real server returns, they go back, and no client is refused in between. A sorry server that is down is reported before it is
// needed.
//
// Proves docs/virtual-servers.md: "The sorry server has an entry only while it is used."
// Proves docs/virtual-servers.md: "The entry of the one is added before that of the other is removed"
func TestSorryServer(t *testing.T) {
	lab.Need(t, lab.IPVS)
	c := newCluster(t, shape{advert: "100ms", server: "sorry_server: {name: sorry, address: 10.77.0.20}"})
	sorry := c.node("sorry", "10.77.0.20/24", "lvs-realserver")
	one, two := c.answering()
	for _, n := range []*node{c.mysql1, c.mysql2, c.master, c.backup} {
		n.start()
	}
	c.awaitTaken() // not the status OK: the sorry server is down
	c.ctlEventually(c.master, "sorry_server_down")
	c.ctlPrints(c.master, 1, "WARNING: .*mysql/sorry: down: ", "status", "--check")
	standin.Start(sorry.Host, ":3306", "sorry")
	sorry.start()
	healthy(t, c.master, c.backup)
	if err := tableHas(c.master, rs1, rs2); err != nil {
		t.Error(err)
	}

	client := measure.Start(c.client, vipPort, measure.Options{Every: 5 * time.Millisecond, Timeout: soon})
	client.WaitAnswered("", soon)
	one.Stop()
	two.Stop()
	for _, d := range []*node{c.master, c.backup} {
		c.awaitTable(d, "10.77.0.20:3306")
		c.ctlPrints(d, 2, "CRITICAL: mysql: the quorum of 1 is lost, and clients go to sorry", "status", "--check")
	}
	lost := time.Now()
	onlyFrom(t, client, "sorry", lost)
	c.awaitHolder(c.master, soon) // no other director is better off
	c.mysql1Answers()
	c.awaitTable(c.master, rs1)
	returned := time.Now()
	onlyFrom(t, client, "mysql1", returned)
	for _, a := range client.Stop().Attempts {
		// A connection to the sorry server that is open when its entry is removed is reset.
		cut := a.Failure == "reset" && a.Start.Before(returned)
		if a.Start.After(lost) && !a.Answered() && !cut {
			t.Errorf("%+v", a)
		}
	}
	c.follows(c.master.events(), "problem_cleared mysql/sorry: WARNING ->", "problem_raised mysql: -> CRITICAL", "virtual_server_state mysql: down -> degraded")
}

// TestOnFailure: the checks of a server fail while it has many connections, some of which are in use. With `on_failure: drain` it goes on
// answering, all connections go on, and new ones go elsewhere, also those of a client that persistence has assigned to it. With `expire`
// it is cut off as well: every client that sends has a reset, at once or, if it was idle, with its next packet, and none waits for
// its own time-out.
//
// Proves docs/virtual-servers.md: "`on_failure: drain` leaves its entry, with weight 0"
// Proves docs/virtual-servers.md: "With `persistence`, a known client goes to another server with its next connection."
func TestOnFailure(t *testing.T) {
	lab.Need(t, lab.IPVS)
	idle, busy := 20, 10
	if lab.HasLongForm(t) {
		idle, busy = 1000, 100
	}
	const persistence = "\n    persistence: {timeout: 300s}"
	for name, server := range map[string]string{
		"drain": "on_failure: drain", "drain, persistence": "on_failure: drain" + persistence,
		"expire": "on_failure: expire", "expire, persistence": "on_failure: expire" + persistence,
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, shape{advert: "100ms", server: server})
			files := map[string]string{"mysql1": c.net.File("one", ""), "mysql2": c.net.File("two", "")}
			for server, file := range files {
				c.edit("{name: "+server+",", fmt.Sprintf("{name: %s, checks: [{type: file, path: %s, interval: 200ms}],", server, file))
			}
			c.answering()
			c.startMaster()
			drains := strings.HasPrefix(name, "drain")
			held, used := measure.OpenConnections(c.client, vipPort, idle), keepBusy(measure.OpenConnections(c.client, vipPort, busy))
			defer used.stop()
			its, other, entry, host := "mysql1", "mysql2", rs1, c.mysql1
			if held.Servers()["mysql1"] == 0 {
				its, other, entry, host = "mysql2", "mysql1", rs2, c.mysql2
			}
			lost := func(when string, all *measure.Connections) {
				t.Helper()
				want := all.Servers()
				if !drains {
					delete(want, its)
				}
				alive(t, when, all, want)
				for server, causes := range all.Errors() {
					for _, err := range causes {
						if server != its || drains || !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
							t.Errorf("%s: a connection to %s ended: %v", when, server, err)
						}
					}
				}
			}
			weight := 0
			if !drains {
				weight = -1
				host.Link("eth0").CarrierDown()
			}
			fails(t, files[its], true)
			c.master.awaitEntry(entry, weight)
			used.round()
			lost("its checks fail", held)
			// A guest that is busy with the connections held may let an attempt wait.
			client := measure.Start(c.client, vipPort, measure.Options{Every: 5 * time.Millisecond, Timeout: soon})
			onlyFrom(t, client, other, time.Now())
			if !drains {
				host.Link("eth0").CarrierUp()
			}
			fails(t, files[its], false)
			c.master.awaitEntry(entry, 1)
			lost("its checks pass again", held)
			if r := client.Stop(); r.Failed() > 0 {
				t.Errorf("%d failures: %v", r.Failed(), r.Failures())
			}
			used.stop()
			lost("those in use", used.Connections)
		})
	}
}

// busyConnections are connections on which clients send all the time.
type busyConnections struct {
	*measure.Connections
	rounds chan chan struct{}
	quit   chan struct{}
	end    func()
}

// keepBusy sends on connections until stop.
func keepBusy(conns *measure.Connections) busyConnections {
	b := busyConnections{Connections: conns, rounds: make(chan chan struct{}), quit: make(chan struct{})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		pause := time.NewTicker(100 * time.Millisecond)
		defer pause.Stop()
		for {
			select {
			case <-b.quit:
				return
			case done := <-b.rounds:
				conns.Alive()
				close(done)
			case <-pause.C:
				conns.Alive()
			}
		}
	}()
	b.end = sync.OnceFunc(func() {
		close(b.quit)
		<-ended
	})
	return b
}

// round waits until every connection has been used once more.
func (b busyConnections) round() {
	done := make(chan struct{})
	b.rounds <- done
	<-done
}

// stop ends the sending. The connections stay open.
func (b busyConnections) stop() { b.end() }

// TestStandbyServers: with one primary server and one on standby, and beside it a pool with a panic threshold, tables are as their pages
// say while servers fail and return.
//
// Proves docs/virtual-servers.md: "With `fail_back: false` they stay until"
// Proves docs/virtual-servers.md: "A director that is stopped and started, and one whose machine is rebooted, goes on with what"
// Proves docs/virtual-servers.md: "those that fail keep their entries with their weights; those that failed before stay out."
func TestStandbyServers(t *testing.T) {
	lab.Need(t, lab.IPVS)
	c := &cluster{t: t, net: lab.New(t)}
	c.lan = c.net.Bridge("lan")
	one, two := c.net.File("one", ""), c.net.File("two", "")
	c.file = c.net.File("cluster.yaml", fmt.Sprintf(`version: 1
directors: [{name: lvs-master, address: 10.77.0.2}]
virtual_servers:
  - {name: writes, address: 10.77.0.100, port: 1000, scheduler: wrr, forward: dr, fail_back: false,
     real_servers: [{name: one, address: 10.77.0.11, weight: 3, checks: &one [{type: file, path: %s, interval: 200ms, fall: 1, rise: 1}]},
                    {name: two, address: 10.77.0.12, standby: true, checks: &two [{type: file, path: %s, interval: 200ms, fall: 1, rise: 1}]}]}
  - {name: panics, address: 10.77.0.100, port: 1001, scheduler: wrr, forward: dr, panic_threshold: 50,
     real_servers: [{name: one, address: 10.77.0.11, weight: 3, checks: *one}, {name: two, address: 10.77.0.12, checks: *two}]}
`, one, two))
	c.master = c.node("lvs-master", "10.77.0.2/24", "lvs-director")
	c.master.start()
	const writes, panics = "-t 10.77.0.100:1000", "-t 10.77.0.100:1001"
	c.master.hasPools(writes+" 11=3", panics+" 11=3 12=1")
	c.turns(one, "one", "down")
	c.master.hasPools(writes+" 12=1", panics+" 12=1")
	c.ctlPrints(c.master, 1, "WARNING: .*writes: the standby servers have the connections", "status", "--check")
	c.turns(one, "one", "up")
	c.master.hasPools(writes+" 12=1", panics+" 11=3 12=1")
	c.master.mustCtl("drain", "writes/two")
	c.master.hasPools(writes+" 11=3", panics+" 11=3 12=1")
	c.master.mustCtl("enable", "writes/two")
	c.master.hasPools(writes+" 11=3", panics+" 11=3 12=1")
	c.turns(two, "two", "down")
	c.master.hasPools(writes+" 11=3", panics+" 11=3")
	c.turns(one, "one", "down")
	c.master.hasPools(writes, panics+" 11=3")
	c.ctlPrints(c.master, 2, "CRITICAL: .*panics: no real server is up; 1 is down and still gets connections", "status", "--check")
	c.turns(two, "two", "up")
	c.master.hasPools(writes+" 12=1", panics+" 12=1")

	c.turns(one, "one", "up")
	stays := func(when string, how func()) {
		t.Helper()
		c.master.hasPools(writes+" 12=1", panics+" 11=3 12=1")
		how()
		c.awaitServers("after "+when, "up", "up")
	}
	begin := func() { c.master.start().WaitLog("directing", soon) }
	stop := func() { c.master.daemon.Stop() }
	stays("a stop", func() { stop(); begin() })
	stays("a kill", func() { c.master.daemon.Kill(); begin() })
	stays("the standby server failed while the director was stopped", func() {
		stop()
		fails(t, two, true)
		begin()
		c.awaitServers("after a start", "up", "down")
		c.master.hasPools(writes+" 11=3", panics+" 11=3")
		fails(t, two, false)
		c.awaitServers("later", "up", "up")
		c.master.hasPools(writes+" 11=3", panics+" 11=3 12=1")
		stop()
		begin()
		c.awaitServers("after a stop on the primary server", "up", "up")
		c.master.hasPools(writes+" 11=3", panics+" 11=3 12=1")
		c.turns(one, "one", "down")
		c.turns(one, "one", "up")
	})
	stays("the state file was lost", func() {
		stop()
		c.master.Run("rm", c.master.Path("state", "state.json"))
		begin()
		c.awaitServers("without a state file", "up", "up")
		c.master.hasPools(writes+" 11=3", panics+" 11=3 12=1")
		c.turns(one, "one", "down")
		c.turns(one, "one", "up")
	})
	// The state file is that of another cluster file, which has other roles.
	c.master.hasPools(writes+" 12=1", panics+" 11=3 12=1")
	stop()
	c.rewrite("weight: 3, checks: &one", "weight: 3, standby: true, checks: &one", "12, standby: true, checks: &two", "12, checks: &two")
	begin()
	c.awaitServers("with other roles", "up", "up")
	c.master.hasPools(writes+" 12=1", panics+" 11=3 12=1")
	fails(t, two, true)
	c.awaitServers("the other one fails", "up", "down")
	c.master.hasPools(writes+" 11=3", panics+" 11=3")
}

// awaitServers waits until the checks of the servers one and two of all virtual servers say that they are up or down.
func (c *cluster) awaitServers(when, one, two string) {
	c.t.Helper()
	want := map[string]string{"one": one, "two": two}
	lab.Eventually(c.t, soon, func() error {
		for _, v := range c.master.status().VirtualServers {
			for _, r := range v.RealServers {
				if r.State != want[r.Name] {
					return fmt.Errorf("%s: %s of %s is %s, want %s", when, r.Name, v.Name, r.State, want[r.Name])
				}
			}
		}
		return nil
	})
}

// turns makes the check of a real server fail or pass, and waits until every virtual server that has it says so: each has a check of
// its own.
func (c *cluster) turns(file, server, state string) {
	c.t.Helper()
	fails(c.t, file, state == "down")
	lab.Eventually(c.t, soon, func() error {
		for _, v := range c.master.status().VirtualServers {
			for _, r := range v.RealServers {
				if r.Name == server && r.State != state {
					return fmt.Errorf("%s of %s is %s, want %s", server, v.Name, r.State, state)
				}
			}
		}
		return nil
	})
}
