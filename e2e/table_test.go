package e2e

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

// inTable returns a function that returns nil if the real server is in the node's table or, if not wanted, is not.
func inTable(n *node, server string, wanted bool) func() error {
	return func() error {
		table := n.table()
		if table.Service(vipPort).Server(server).Exists() != wanted {
			return fmt.Errorf("%s in the table: %t, want %t:\n%s", server, !wanted, wanted, table.Text)
		}
		return nil
	}
}

func serverLost(t *testing.T, every, timeout time.Duration) {
	c := newCluster(t, shape{advert: "100ms", check: fmt.Sprintf("{type: tcp, interval: %s, timeout: %s, fall: 2, rise: 2}", every, timeout)})
	one, _ := c.answering()
	c.startMaster()
	bound := 2*every + timeout
	t.Run("killed, every "+every.String(), func(t *testing.T) {
		c.lose(one.Kill, `down: tcp: .*10\.77\.0\.11:3306.*refused.*\(2 of 2\)`, func() {
			standin.Start(c.mysql1.Host, ":3306", "mysql1")
		}).judge(t, bound)
	})
	t.Run("cable cut, every "+every.String(), func(t *testing.T) {
		cable := c.mysql1.Link("eth0")
		c.lose(cable.Unplug, `down: tcp: .*10\.77\.0\.11:3306.*\(2 of 2\)`, cable.Plug).judge(t, bound)
	})
}

// loss is what clients observed when a real server was lost and returned.
type loss struct {
	measure.Result
	last time.Duration // from the loss to the start of the last attempt that failed
	back time.Duration // from the return to the start of the first attempt that it answered
}

const lossStep = 10 * time.Millisecond // between two attempts

// judge fails the test unless the server is out after fall × interval + timeout and back after rise × interval +
// timeout; bound is the value of both.
func (l loss) judge(t *testing.T, bound time.Duration) {
	t.Helper()
	t.Logf("%d failed, the last one %s after the loss; back after %s: %s", l.Failed(), l.last.Round(time.Millisecond),
		l.back.Round(time.Millisecond), l)
	if most := int((bound+allowance)/lossStep)/2 + 1; l.Failed() == 0 || l.Failed() > most {
		t.Errorf("%d attempts failed, want 1 to %d, every second one for %s", l.Failed(), most, bound)
	}
	if l.last > bound+allowance {
		t.Errorf("an attempt failed %s after the loss, want none after %s", l.last, bound)
	}
	if l.back > bound+2*lossStep { // two servers take turns
		t.Errorf("back after %s, want %s", l.back, bound)
	}
}

// lose makes mysql1 fail and restores it, with 10 open connections and a client that measures.
func (c *cluster) lose(lose func(), reason string, restore func()) loss {
	c.t.Helper()
	conns := measure.OpenConnections(c.client, vipPort, 10)
	defer conns.Close()
	measured := measure.Start(c.client, vipPort, measure.Options{Every: lossStep})
	measured.WaitAnswered("mysql1", soon)
	log := c.master.daemon.Mark()
	lose()
	lost := time.Now()
	log.WaitLog("verdict.*mysql/mysql1.*"+reason, soon)
	c.master.awaitTableChange(log, "10.77.0.11:3306", false)
	measured.WaitAnswered("mysql2", soon)
	if alive := conns.Alive(); alive["mysql2"] != 5 || alive["mysql1"] != 0 {
		c.t.Errorf("alive %v, want the 5 of mysql2 and none of mysql1, which is lost", alive)
	}
	errs := conns.Errors()["mysql1"]
	for _, err := range errs {
		if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) { // EOF: closed by the killed server's kernel
			c.t.Errorf("a client of the lost server got %v, want a RST", err)
		}
	}
	if len(errs) != 5 {
		c.t.Errorf("%d connections to the lost server ended, want 5", len(errs))
	}
	restore()
	returned := time.Now()
	first := measured.WaitAnswered("mysql1", soon).Start
	l := loss{Result: measured.Stop(), back: first.Sub(returned)}
	for _, a := range l.Attempts {
		if !a.Answered() {
			l.last = a.Start.Sub(lost)
		}
	}
	return l
}

// startMaster starts the agents and lvs-master alone, and waits until it serves.
func (c *cluster) startMaster() {
	c.t.Helper()
	c.mysql1.start()
	c.mysql2.start()
	c.awaitServing(c.master.start())
}

// awaitServing waits until lvs-master, whose daemon was just started, serves.
func (c *cluster) awaitServing(started *lab.Daemon) {
	c.t.Helper()
	started.WaitLog("to=MASTER", soon) // cheaper than polling for the address
	c.awaitHolder(c.master, soon)
	c.awaitTable(c.master, "10.77.0.11:3306", "10.77.0.12:3306")
}

// TestTableStandsBeforeTheVIPAnswers: a director that starts adds the VIP after the table is complete, however large
// the table and however fast the election. Otherwise the director itself would refuse clients.
//
// Proves docs/index.md: "Both directors keep the table at all times, and it is complete before the VIP is added."
func TestTableStandsBeforeTheVIPAnswers(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.AnyKernel(t)
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
		fmt.Fprintf(file, "  - {name: p%[1]d, address: 10.77.0.100, port: %[1]d, scheduler: rr, forward: dr, initial_state: up, checks: [{type: tcp, interval: 1h, port: 3306}], real_servers: "+
			"[{name: mysql1, address: 10.77.0.11}, {name: mysql2, address: 10.77.0.12}]}\n", port)
	}
	c.net.File("cluster.yaml", file.String())
	c.answering()
	for _, n := range []*node{c.mysql1, c.mysql2} {
		n.start().WaitLog("VIP added", soon)
	}
	measured := measure.Start(c.client, vipPort, measure.Options{})
	c.master.start()
	measured.WaitAnswered("", soon)
	measured.WaitAnswered("", soon)
	result := measured.Stop()
	t.Log(result)
	if refused := result.Failures()["refused"]; refused > 0 {
		t.Errorf("the director refused %d attempts: the VIP was added before the table was complete", refused)
	}
	if table := c.master.table(); len(table.Services) != ports {
		t.Errorf("%d virtual servers in the table, want %d", len(table.Services), ports)
	}
}

// TestTakeOverRefusesNobody: whichever way the VIP moves, the new holder has its table before the VIP, and the old one
// keeps its table until the VIP is removed: clients may have to wait, but no director refuses them.
//
// Proves docs/packet-flow.md: "A director completes its table before it adds the VIP, and removes the VIP before the
// table. Clients may wait, but no director refuses them because of a missing table."
func TestTakeOverRefusesNobody(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.AnyKernel(t)
	c := newCluster(t, shape{advert: "100ms"})
	c.answering()
	c.startAll()
	measured := measure.Start(c.client, vipPort, measure.Options{})
	for _, move := range []struct {
		how string
		do  func()
		to  *node
	}{
		{"graceful stop", func() { c.master.daemon.Stop() }, c.backup},
		{"preemption", func() { c.master.start() }, c.master},
		{"kill -9", func() { c.master.daemon.Kill() }, c.backup},
	} {
		measured.WaitAnswered("", soon)
		move.do()
		c.awaitHolder(move.to, soon)
		measured.WaitAnswered("", soon)
		if result := measured.Attempts(); result.Failures()["refused"] > 0 {
			t.Fatalf("%s: a director refused clients: %s", move.how, result)
		}
	}
	t.Log(measured.Stop())
}
