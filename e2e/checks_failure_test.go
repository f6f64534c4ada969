package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/mariadb"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

// TestMySQLServerFails: a server that stops serving (here killed or frozen; a graceful stop is 001-2) gets no more
// connections after fall × interval + timeout and is back after rise good checks; sessions on the other server are not
// affected. A server that is dead when the director starts gets no connection at all.
//
// Proves docs/checks.md: "A server that stops answering is removed after at most fall × interval + timeout."
// Proves docs/checks.md: "After that, `fall` consecutive failures remove a server, and `rise` consecutive successes add
// it again."
// Proves docs/checks.md: "A server that is down when the director starts gets no connections; a server that is up does
// not wait for `rise`."
func TestMySQLServerFails(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.MariaDB)
	lab.Long(t)
	d := newDatabases(t, shape{advert: "100ms"}, mariadb.Options{})
	d.startAll()
	ways := []failure{
		// The log has how long the check waited for the greeting: the timeout minus the time for the dial.
		{"frozen", d.two.Pause, d.two.Resume, `no answer within [1-5]\d\dms.*\(2 of 2\)`},
		{"killed", d.two.Kill, d.two.Start, `connection refused.*\(2 of 2\)`},
	}
	for _, way := range ways {
		if !t.Run(way.name, func(t *testing.T) { d.failServer(t, way) }) {
			return
		}
	}
	t.Run("dead at the start", d.deadAtStart)
}

// A failure is a way in which mysqld on mysql2 stops serving.
type failure struct {
	name       string
	begin, end func()
	reason     string // a regular expression for the log
}

// failServer applies one failure and judges its effect on the table, the log and the sessions.
func (d *databases) failServer(t *testing.T, way failure) {
	kept, lost := d.sessionOnEach(t)
	marks := map[*node]lab.LogMark{d.master: d.master.daemon.Mark(), d.backup: d.backup.daemon.Mark()}
	rst := capture.Start(d.users, "eth0", "tcp[tcpflags] & tcp-rst != 0 and src host "+vip)
	d.master.afterCheck(d.mysql2)
	begun := time.Now()
	way.begin()
	out := d.master.awaitTableChange(marks[d.master], rs2, false).Sub(begun)
	t.Logf("out of the table after %s", out)
	if out > outWithin+allowance {
		t.Errorf("out of the table after %s, want at most %s", out, outWithin)
	}
	for n, mark := range marks {
		line := mark.WaitLog(`verdict server=mysql/mysql2 up=false .*down: mysql: (.* )?10\.77\.0\.12:3306: `+way.reason, soon)
		t.Logf("%s: %s", n.Name, line.Text)
	}
	waited, err := lost.awaitReset(2 * time.Second)
	if err != nil {
		t.Errorf("an application of the %s server: %v", way.name, err)
	}
	t.Logf("its application got the end of the connection after %s", waited)
	if packets := rst.Stop(); way.name == "frozen" && len(capture.Matching(packets, "^"+d.master.mac())) == 0 {
		t.Errorf("no reset from %s, and a frozen server sends none: %v", d.master.Name, packets)
	}
	for range 4 {
		if s := d.mustLogin("10.77.0.61", vipPort); s.server != "mysql1" {
			t.Errorf("a new connection went to %s", s.server)
		}
	}
	d.recoverServer(t, way, kept)
}

// recoverServer ends a failure. kept is a session on the other server, which must not be affected.
func (d *databases) recoverServer(t *testing.T, way failure, kept *session) {
	mark := d.master.daemon.Mark()
	way.end()
	begun := time.Now() // a started server is ready when end returns
	back := d.master.awaitTableChange(mark, rs2, true).Sub(begun)
	t.Logf("back in the table after %s", back)
	if back > backWithin+allowance {
		t.Errorf("back after %s, want at most %s", back, backWithin)
	}
	if way.name == "frozen" && back < backNotBefore {
		t.Errorf("back after %s, but rise good checks take at least %s", back, backNotBefore)
	}
	d.awaitTable(d.backup, rs1, rs2)
	if err := kept.unchanged(); err != nil {
		t.Error(err)
	}
}

// sessionOnEach opens a session on mysql1 and one on mysql2; rr assigns connections in turn.
func (d *databases) sessionOnEach(t *testing.T) (first, second *session) {
	t.Helper()
	first, second = d.mustLogin("10.77.0.61", vipPort), d.mustLogin("10.77.0.61", vipPort)
	if first.server == second.server {
		t.Fatalf("rr gave both connections to %s", first.server)
	}
	if first.server == "mysql2" {
		return second, first
	}
	return first, second
}

// deadAtStart: a director that starts while a server is dead sends it no connection at all, even if the server fails in
// the way that takes longest to detect and the VIP is up before the first check ends.
func (d *databases) deadAtStart(t *testing.T) {
	d.two.Pause()
	for _, n := range []*node{d.backup, d.master} {
		n.daemon.Stop()
	}
	toDead := capture.Start(d.mysql2.Host, "eth0", "tcp port 3306 and dst host "+vip)
	m := measure.Start(d.client, vipPort, measure.Options{MySQL: &measure.Login{User: mariadb.AppUser, Password: mariadb.AppPassword}})
	d.master.start()
	m.WaitAnswered("mysql1", soon)
	served := time.Now()
	d.awaitTable(d.master, rs1)
	d.backup.start()
	d.awaitTable(d.backup, rs1)
	lab.Consistently(t, 1500*time.Millisecond, func() error {
		if d.master.table().Service(vipPort).Server(rs2).Exists() {
			return fmt.Errorf("the dead server is in the table:\n%s", d.master.table().Text)
		}
		return nil
	})
	r := m.Stop()
	t.Log(r)
	if failed := r.Since(served).Failed(); failed > 0 {
		t.Errorf("%d connections failed although one server is up: %s", failed, r)
	}
	if packets := toDead.Stop(); len(packets) > 0 {
		t.Errorf("%d packets were sent to the dead server, the first: %s", len(packets), packets[0].Text)
	}
	d.master.daemon.WaitLog(`mysql/mysql2 up=false .*down: mysql: (.* )?10\.77\.0\.12:3306: no answer within [1-5]\d\dms.*\(first check\)`, soon)
}

// TestServerDeadAtTheStart: a real server that is dead when the director starts gets no connection, not even while its
// first check is waiting for an answer, and gets its share soon after it comes up.
//
// Proves docs/checks.md: "A server that is down when the director starts gets no connections; a server that is up does
// not wait for `rise`."
func TestServerDeadAtTheStart(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.MariaDB)
	lab.Long(t)
	c := newCluster(t, shape{advert: "100ms", check: "{type: tcp, interval: 1s, timeout: 1s, fall: 1, rise: 1}"})
	standin.Start(c.mysql1.Host, ":3306", "mysql1")
	c.mysql1.start()
	c.mysql2.start()
	c.mysql2.Link("eth0").Unplug()
	c.master.start()
	lab.Eventually(t, soon, func() error { // read from /proc because starting ipvsadm would take too long
		table := c.master.ReadFile("/proc/thread-self/net/ip_vs")
		if strings.Contains(table, "0A4D000C:0CEA") {
			t.Errorf("the dead 10.77.0.12:3306 is in the table:\n%s", table)
		}
		if !strings.Contains(table, "0A4D000B:0CEA") {
			return fmt.Errorf("10.77.0.11:3306 is not in the table:\n%s", table)
		}
		return nil
	})
	c.awaitHolder(c.master, soon)
	for range 2 { // before mysql2's first verdict and after it
		if got := measure.OpenConnections(c.client, vipPort, 20).Servers(); got["mysql1"] != 20 {
			t.Errorf("connections went %v, want all 20 to mysql1", got)
		}
		if problem := tableHas(c.master, "10.77.0.11:3306"); problem != nil {
			t.Error(problem)
		}
		c.master.daemon.WaitLog(`verdict.*mysql/mysql2 up=false`, soon)
	}

	standin.Start(c.mysql2.Host, ":3306", "mysql2")
	c.mysql2.Link("eth0").Plug()
	c.awaitTable(c.master, "10.77.0.11:3306", "10.77.0.12:3306")
	if got := measure.OpenConnections(c.client, vipPort, 10).Servers(); got["mysql2"] != 5 {
		t.Errorf("connections went %v, want half to mysql2", got)
	}
}

// TestServerLost: when one of two real servers dies or loses its cable, clients see failures until fall checks have
// failed, and no longer. Connections to the other server are not affected. Those to the lost one are reset at their
// next packet instead of hanging. The log has the reason; the server is back after rise good checks.
//
// Proves docs/checks.md: "A server that stops answering is removed after at most fall × interval + timeout."
// Proves docs/checks.md: "The director sets `net.ipv4.vs.expire_nodest_conn=1`, so the next packet of a connection to
// it resets the connection instead of letting it hang."
func TestServerLost(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.HasLongForm(t)
	serverLost(t, 200*time.Millisecond, 150*time.Millisecond)
	if !testing.Short() { // keepalived's closest equivalent, delay_loop 1 and one retry after 1 s: 104-107 failed
		serverLost(t, time.Second, 800*time.Millisecond)
	}
}
