package e2e

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// The usual cluster's checks, and how long the table may need to follow a server by them.
const (
	poolEvery   = 200 * time.Millisecond
	poolTimeout = 150 * time.Millisecond
	poolFollows = 2*poolEvery + poolTimeout // fall or rise 2
	// A look at the table by ipvsadm(8) costs time of the same slow CPU.
	poolLook = 100 * time.Millisecond
)

// follows waits for what the table shall show and returns how long after from that was seen.
func follows(t *testing.T, from time.Time, check func() error) time.Duration {
	t.Helper()
	lab.Eventually(t, soon, check)
	return time.Since(from)
}

// inTable says that the real server is in the node's pool or, if not wanted, that it is not.
func inTable(n *node, server string, wanted bool) func() error {
	return func() error {
		table := n.IPVS()
		if table.Service(vipPort).Server(server).Exists() != wanted {
			return fmt.Errorf("%s in the table: %t, want %t:\n%s", server, !wanted, wanted, table.Text)
		}
		return nil
	}
}

// TestServerDeadAtTheStart: a real server that is dead when the director starts gets no connection at all, and gets
// its share soon after it came up.
func TestServerDeadAtTheStart(t *testing.T) {
	t.Parallel()
	c := newCluster(t, shape{advert: "100ms"})
	lab.Answering(c.mysql1.Host, ":3306", "mysql1")
	c.mysql1.start()
	c.mysql2.start()
	dead := tap(t, c.mysql2.Host, "eth0", "tcp and dst host "+vip)
	c.master.start()
	c.awaitHolder(c.master, soon)
	c.awaitTable(c.master, "10.77.0.11:3306")
	if got := lab.Hold(c.client, vipPort, 30).Servers(); got["mysql1"] != 30 {
		t.Errorf("connections went %v, want all 30 to mysql1", got)
	}
	if problem := tableHas(c.master, "10.77.0.11:3306"); problem != nil {
		t.Error(problem)
	}
	dead.stop()
	dead.hasNot("the dead server was tried", `> 10.77.0.100.3306`)

	lab.Answering(c.mysql2.Host, ":3306", "mysql2")
	took := follows(t, time.Now(), inTable(c.master, "10.77.0.12:3306", true))
	t.Logf("in the table %s after it came up", took.Round(time.Millisecond))
	if took > poolFollows+poolLook {
		t.Errorf("in the table %s after it came up, want rise × interval + timeout = %s", took, poolFollows)
	}
	if got := lab.Hold(c.client, vipPort, 10).Servers(); got["mysql2"] != 5 {
		t.Errorf("connections went %v, want half to mysql2", got)
	}
}

// TestServerKilled: clients notice the death of one of two real servers until the checks have counted to fall, and no
// longer; the other server's connections notice nothing; the log says why; the server is back after rise.
func TestServerKilled(t *testing.T) {
	t.Run("every 200ms", func(t *testing.T) { serverKilled(t, poolEvery, poolTimeout) })
	if os.Getenv("LVS_SOAK") != "" { // keepalived's nearest, delay_loop 1 and one retry after 1 s: 104-107 failed
		t.Run("every 1s", func(t *testing.T) { serverKilled(t, time.Second, 800*time.Millisecond) })
	}
}

func serverKilled(t *testing.T, every, timeout time.Duration) {
	c := newCluster(t, shape{advert: "100ms", check: fmt.Sprintf("{type: tcp, interval: %s, timeout: %s, fall: 2, rise: 2}", every, timeout)})
	one, _ := c.answering()
	c.startMaster()
	held := lab.Hold(c.client, vipPort, 10)
	const step = 10 * time.Millisecond
	measured := lab.Measure(c.client, vipPort, lab.MeasureOptions{Every: step})
	measured.WaitAnswered("mysql1", soon)
	log := c.master.daemon.Mark()
	killed := time.Now()
	one.Kill()
	follows(t, killed, inTable(c.master, "10.77.0.11:3306", false))
	measured.WaitAnswered("mysql2", soon)
	log.WaitLog(`verdict.*mysql/mysql1.*down: tcp: .*10\.77\.0\.11:3306.*refused.*\(2 of 2\)`, soon)

	lab.Answering(c.mysql1.Host, ":3306", "mysql1")
	born := time.Now()
	back := follows(t, born, inTable(c.master, "10.77.0.11:3306", true))
	measured.WaitAnswered("mysql1", soon)
	result := measured.Stop()
	last := time.Duration(0)
	for _, a := range result.Attempts {
		if !a.Answered() {
			last = a.Start.Sub(killed)
		}
	}
	t.Logf("%d failed, the last one %s after the kill; back %s after the start: %s", result.Failed(), last.Round(time.Millisecond),
		back.Round(time.Millisecond), result)
	bound := 2*every + timeout
	if most := int(bound/step)/2 + 1; result.Failed() == 0 || result.Failed() > most {
		t.Errorf("%d attempts failed, want 1 to %d: every second one for fall × interval + timeout = %s", result.Failed(), most, bound)
	}
	if last > bound {
		t.Errorf("an attempt failed %s after the kill, want none later than fall × interval + timeout = %s", last, bound)
	}
	if back > bound+poolLook {
		t.Errorf("back in the table after %s, want rise × interval + timeout = %s", back, bound)
	}
	if alive := held.Alive(); alive["mysql2"] != 5 || alive["mysql1"] != 0 {
		t.Errorf("alive %v, want the 5 of mysql2 and none of the killed mysql1", alive)
	}
}

// TestServerCut: a real server that vanished from the network leaves the table, and its clients are told by a RST at
// their next packet instead of hanging (net.ipv4.vs.expire_nodest_conn). The other server's connections notice nothing.
func TestServerCut(t *testing.T) {
	t.Parallel()
	c := newCluster(t, shape{advert: "100ms"})
	c.answering()
	c.startMaster()
	held := lab.Hold(c.client, vipPort, 10)
	cut := time.Now()
	c.mysql1.Link("eth0").Unplug()
	took := follows(t, cut, inTable(c.master, "10.77.0.11:3306", false))
	t.Logf("out of the table %s after the cable", took.Round(time.Millisecond))
	if took > poolFollows+poolLook {
		t.Errorf("out of the table after %s, want fall × interval + timeout = %s", took, poolFollows)
	}
	asked := time.Now()
	alive := held.Alive()
	if alive["mysql2"] != 5 || alive["mysql1"] != 0 {
		t.Errorf("alive %v, want the 5 of mysql2", alive)
	}
	told := held.Errors()["mysql1"]
	for _, err := range told {
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("a client of the lost server got %v, want a RST", err)
		}
	}
	if len(told) != 5 {
		t.Errorf("%d clients of the lost server were told, want 5", len(told))
	}
	t.Logf("all ten clients knew after %s", time.Since(asked).Round(time.Millisecond))
	if reason := c.master.status().VirtualServers[0].RealServers[0].Reason; !strings.Contains(reason, "down: tcp: ") {
		t.Errorf("the reason in status is %q", reason)
	}
}

// startMaster starts the agents and lvs-master alone, and waits until it serves.
func (c *cluster) startMaster() {
	c.t.Helper()
	c.mysql1.start()
	c.mysql2.start()
	c.master.start()
	c.awaitHolder(c.master, soon)
	c.awaitTable(c.master, "10.77.0.11:3306", "10.77.0.12:3306")
}

// TestTableStandsBeforeTheVIPAnswers: on a director that starts, the address comes after the table, however large that
// is and however fast the election. Otherwise the director itself would refuse clients.
func TestTableStandsBeforeTheVIPAnswers(t *testing.T) {
	c := newCluster(t, shape{})
	const ports = 500
	file := &strings.Builder{}
	file.WriteString(`version: 1
directors: [{name: lvs-master, address: 10.77.0.2}]
vrrp_instances:
  - {name: mysql, interface: eth0, virtual_router_id: 51, advert_interval: 10ms, priority: 255, virtual_addresses: [10.77.0.100]}
virtual_servers:
`)
	for port := 3306 + ports - 1; port >= 3306; port-- { // the one that is measured comes last
		fmt.Fprintf(file, "  - {name: p%[1]d, address: 10.77.0.100, port: %[1]d, scheduler: rr, forward: dr, initial_state: up, checks: [], real_servers: "+
			"[{name: mysql1, address: 10.77.0.11}, {name: mysql2, address: 10.77.0.12}]}\n", port)
	}
	c.net.File("cluster.yaml", file.String())
	c.answering()
	for _, n := range []*node{c.mysql1, c.mysql2} {
		n.start().WaitLog("VIP put", soon)
	}
	measured := lab.Measure(c.client, vipPort, lab.MeasureOptions{})
	c.master.start()
	measured.WaitAnswered("", soon)
	measured.WaitAnswered("", soon)
	result := measured.Stop()
	t.Log(result)
	if refused := result.Failures()["refused"]; refused > 0 {
		t.Errorf("the director refused %d attempts: the VIP answered before the table stood", refused)
	}
	if table := c.master.IPVS(); len(table.Services) != ports {
		t.Errorf("%d virtual servers in the table, want %d", len(table.Services), ports)
	}
}
