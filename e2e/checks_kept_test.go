package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/mariadb"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// keptCheck has the intervals with which keepalived was measured: 78 connections failed.
const keptCheck = "{type: mysql, interval: 1s, timeout: 800ms, fall: 2, rise: 2, user: lvs_check, password_file: PASSWORD_FILE, keep_connection: true}"

// TestMySQLServerDies: the connection that a director keeps to a MySQL server tells at once that mysqld has died, so a client
// with a new connection every 10 ms sees next to no failure although the check is made every second. A server whose network is
// gone says nothing: it is taken out at the usual pace. A stop leaves no trace on a server. A server that takes only one connection of
// each host stays in the table.
//
// Proves docs/checks.md: "A server whose process dies is removed within milliseconds"
// Proves docs/checks.md: "Silence is not a sign of that: a server whose host or network is gone is removed after fall × interval
// + timeout."
// Proves docs/checks.md: "A connection that is in the way of the check is closed"
func TestMySQLServerDies(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.MariaDB)
	long := lab.HasLongForm(t)
	// The measuring client reads the greeting and closes, for which the server would block it.
	d := newDatabases(t, shape{advert: "100ms", check: keptCheck}, mariadb.Options{Extra: []string{"--max-connect-errors=1000000000"}})
	d.startMaster()
	d.awaitTable(d.master, rs1, rs2)
	trials := 1
	if long {
		trials = 5
	}
	var outs []time.Duration
	for range trials {
		outs = append(outs, d.dies(t))
	}
	slices.Sort(outs)
	if median := outs[len(outs)/2]; median > 50*time.Millisecond {
		t.Errorf("out of the table after %v, want a median of at most 50ms", outs)
	}
	d.networkGone(t)
	aborted := func() int { return d.one.Status("Aborted_clients") }
	before := aborted()
	d.master.daemon.Stop()
	if after := aborted(); after != before {
		t.Errorf("the stop of the director left %d aborted clients on %s", after-before, d.one)
	}
	d.onlyOne(t)
}

// onlyOne starts the director with a packet filter before mysql1 that lets one connection of each host through.
func (d *databases) onlyOne(t *testing.T) {
	t.Helper()
	d.mysql1.Run("iptables", "-A", "INPUT", "-p", "tcp", "--syn", "--dport", "3306", "-m", "connlimit", "--connlimit-above", "1", "-j", "REJECT", "--reject-with", "tcp-reset")
	daemon := d.master.start()
	d.awaitServing(daemon)
	daemon.WaitLog(`level=WARN msg="no connection to the server is kept.* server=mysql/mysql1 cause=".*mysql: .*connection refused"`, soon)
	for range 3 {
		d.master.afterCheck(d.mysql1)
	}
	if log := daemon.Log(); strings.Contains(log, "verdict server=mysql/mysql1 up=false") {
		t.Errorf("the server was taken out:\n%s", log)
	}
	d.awaitTable(d.master, rs1, rs2)
	if text, err := d.master.ctl("explain", "mysql/mysql1"); err != nil || !strings.Contains(text, "why none is kept: ") {
		t.Errorf("lvsctl explain: %v\n%s", err, text)
	}
}

// keeps waits until the director keeps a connection to mysql2.
func (d *databases) keeps(t *testing.T) {
	t.Helper()
	lab.Eventually(t, soon, func() error {
		connections := d.two.Rows("SELECT ID FROM information_schema.PROCESSLIST WHERE USER = ? AND COMMAND = 'Sleep'", mariadb.CheckUser)
		if len(connections) == 0 {
			return fmt.Errorf("no director is logged in to %s", d.two)
		}
		return nil
	})
}

// dies kills mysqld on mysql2 and starts it again. It returns the time until the server was out of the table.
func (d *databases) dies(t *testing.T) time.Duration {
	t.Helper()
	d.keeps(t)
	m := measure.Start(d.client, vipPort, measure.Options{})
	m.WaitAnswered("", soon)
	d.master.afterCheck(d.mysql2) // nearly a second before the next check
	mark := d.master.daemon.Mark()
	died := time.Now()
	d.two.Kill()
	out := d.master.awaitTableChange(mark, rs2, false).Sub(died)
	// The socket of a process that ends refuses, closes or resets a connection.
	mark.WaitLog(`verdict server=mysql/mysql2 up=false .*connection (refused|(closed|reset) by the server).* \(2 of 2\); checked at once, because the server had ended the kept connection`, soon)
	m.WaitAnswered("", soon)
	r := m.Stop().Since(died)
	t.Logf("out of the table after %s: %s", out, r)
	if r.Failed() > 5 {
		t.Errorf("%d connections failed, want at most 5", r.Failed())
	}
	if text, err := d.master.ctl("explain", "mysql/mysql2"); err != nil || !strings.Contains(text, "connection closed by the server") && !strings.Contains(text, "connection reset by the server") {
		t.Errorf("lvsctl explain: %v\n%s", err, text)
	}
	back := d.master.daemon.Mark()
	d.two.Start()
	d.master.awaitTableChange(back, rs2, true)
	return out
}

// networkGone unplugs mysql2, whose kept connection stays open.
func (d *databases) networkGone(t *testing.T) {
	t.Helper()
	d.keeps(t)
	d.master.afterCheck(d.mysql2)
	mark := d.master.daemon.Mark()
	cut := time.Now()
	d.mysql2.Link("eth0").Unplug()
	out := d.master.awaitTableChange(mark, rs2, false).Sub(cut)
	t.Logf("with the network gone, out of the table after %s", out)
	// From the end of a check: nearly a second to the next one, a second to the one after that, and its timeout.
	if least, most := 1500*time.Millisecond, 2800*time.Millisecond+allowance; out < least || out > most {
		t.Errorf("out of the table after %s, want %s to %s", out, least, most)
	}
	if log := mark.Log(); strings.Contains(log, "at once") {
		t.Errorf("the director took silence for a sign:\n%s", log)
	}
	d.mysql2.Link("eth0").Plug()
}
