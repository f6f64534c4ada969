package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/mariadb"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/probe"
)

// TestMySQLChecks: the checks leave no trace on the servers, and a server that answers a check with an error is treated
// according to that error.
//
// Proves docs/comparison.md: "login, query, quit: no trace on the server"
// Proves docs/index.md: "An inconclusive check (a wrong password, a blocked checker) never empties a pool. A server that is
// full gets no new connections while another one is up."
func TestMySQLChecks(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.MariaDB)
	lab.Long(t)
	// A timeout long enough for a slow machine: a check that times out does leave a trace, as it must.
	const patient = "{type: mysql, interval: 5s, timeout: 5s, user: lvs_check, password_file: PASSWORD_FILE}"
	d := newDatabases(t, shape{advert: "100ms", check: patient}, mariadb.Options{
		NameResolve: true, PerformanceSchema: true,
	})
	d.startAll()
	for _, step := range []struct {
		name string
		do   func(t *testing.T)
	}{
		{"leave no trace", d.leaveNoTrace},
		{"wrong password", d.wrongPassword},
		{"blocked", d.blocked},
		{"full", d.full},
	} {
		if !t.Run(step.name, step.do) {
			return
		}
	}
	nodes := []*node{d.master, d.backup, d.mysql1, d.mysql2}
	for _, n := range nodes { // the steps have reloaded the MASTER only
		if out, err := n.ctl("reload"); err != nil {
			t.Errorf("%s: lvsctl reload: %v %s", n.Name, err, out)
		}
	}
	healthy(t, nodes...) // once all of it is repaired
}

// errorCounters returns what a server records about failed connections: its counters, and the host cache rows of the
// directors.
func errorCounters(m *mariadb.Server) string {
	var b strings.Builder
	for _, counter := range []string{"Aborted_connects", "Aborted_clients", "Aborted_connects_preauth", "Access_denied_errors"} {
		fmt.Fprintf(&b, "%s %d\n", counter, m.Status(counter))
	}
	for _, row := range m.Rows(`SELECT IP, HOST, HOST_VALIDATED, SUM_CONNECT_ERRORS, COUNT_HOST_BLOCKED_ERRORS, COUNT_HANDSHAKE_ERRORS,
			COUNT_AUTHENTICATION_ERRORS, COUNT_HOST_ACL_ERRORS, COUNT_MAX_USER_CONNECTIONS_ERRORS, FIRST_ERROR_SEEN
			FROM performance_schema.host_cache WHERE IP IN ('10.77.0.2', '10.77.0.3') ORDER BY IP`) {
		fmt.Fprintln(&b, row)
	}
	return b.String()
}

// leaveNoTrace counts the checks by the servers' connection counters. Besides the directors' own checks, more are made
// one at a time from the same hosts by the same code, so that the servers of a slow guest answer all of them; a check
// that is not answered in time becomes an aborted connection, as it must. Afterwards the directors check as often as
// the following steps need.
func (d *databases) leaveNoTrace(t *testing.T) {
	wanted := 300
	if !testing.Short() {
		wanted = 10_000
	}
	servers := []*mariadb.Server{d.one, d.two}
	before, connections := make([]string, 2), make([]int, 2)
	for i, m := range servers {
		before[i], connections[i] = errorCounters(m), m.Status("Connections")
		for _, known := range []string{"{IP 10.77.0.2} {HOST lvs-master} {HOST_VALIDATED YES} {SUM_CONNECT_ERRORS 0}", "{IP 10.77.0.3} {HOST lvs-backup}"} {
			if !strings.Contains(before[i], known) {
				t.Fatalf("%s could not block a director, so this step would prove nothing: %q is not in\n%s", m, known, before[i])
			}
		}
	}
	begun := time.Now()
	more := []*lab.Daemon{d.master.probes(wanted / 2), d.backup.probes(wanted / 2)}
	for _, p := range more {
		if code := p.Wait(10 * time.Minute); code != 0 {
			t.Fatalf("%s: %s", p, p.Log())
		}
	}
	made := 0
	for i, m := range servers {
		made += m.Status("Connections") - connections[i]
		if after := errorCounters(m); after != before[i] {
			t.Errorf("%s: before\n%safter\n%s", m, before[i], after)
		}
	}
	d.configure(shape{advert: "100ms", check: mysqlCheck})
	d.reload()
	t.Logf("%d checks in %s", made, time.Since(begun).Round(time.Millisecond))
	if made < wanted {
		t.Errorf("%d checks were made, want at least %d", made, wanted)
	}
}

// probes starts count checks of the two servers in turn, made by the product's code from this node.
func (n *node) probes(count int) *lab.Daemon {
	n.t.Helper()
	return n.StartRole("probes", "probes", count)
}

// probeRoles has the role that makes checks one after the other in this binary, more than a director makes in that
// time.
func probeRoles() lab.Roles {
	return lab.Roles{"probes": runProbes}
}

func runProbes(arguments []byte) error {
	var count int
	if err := json.Unmarshal(arguments, &count); err != nil {
		return err
	}
	if err := lab.Ready(); err != nil {
		return err
	}
	for i := range count {
		server := netip.MustParseAddrPort([]string{rs1, rs2}[i%2])
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		r := probe.MySQL(ctx, &probe.Target{Address: server, User: mariadb.CheckUser, Password: mariadb.CheckPassword})
		cancel()
		if r.Class != health.Good {
			return fmt.Errorf("check %d: %s", i, r.Cause)
		}
	}
	return nil
}

// awaitCode waits until the node's status has the code for mysql1. Only status shows codes; the effect is in the table.
func (d *databases) awaitCode(t *testing.T, n *node, code string) {
	t.Helper()
	lab.Eventually(t, soon, func() error {
		r := n.status().VirtualServers[0].RealServers[0]
		if r.Code != code {
			return fmt.Errorf("%s reports %s for %s (%s), want %s", n.Name, r.Code, r.Name, r.Reason, code)
		}
		return nil
	})
}

// hasWeights returns nil if the node's table has both servers with these weights.
func (n *node) hasWeights(one, two int) error {
	service := n.table().Service(vipPort)
	a, b := service.Server(rs1), service.Server(rs2)
	if !a.Exists() || !b.Exists() || a.Weight != one || b.Weight != two {
		return fmt.Errorf("%s: want the weights %d and %d:\n%s", n.Name, one, two, n.table().Text)
	}
	return nil
}

// wrongPassword: a password that was changed on one side only does not show whether the server works. The server stays
// in the table, and the log has the remedy.
func (d *databases) wrongPassword(t *testing.T) {
	mark := d.master.daemon.Mark()
	d.net.File("check.password", "not the password")
	t.Log(mark.WaitLog(`level=WARN .*check is inconclusive.*code=auth .*Error 1045: Access denied.*check user and password_file`, soon).Text)
	d.awaitCode(t, d.master, "auth")
	lab.Consistently(t, outWithin+checkInterval, func() error { return d.master.hasWeights(1, 1) })
	if s := d.mustLogin("10.77.0.61", vipPort); s.server == "" {
		t.Error("no answer")
	}
	d.net.File("check.password", mariadb.CheckPassword)
	mark.WaitLog(`check works again`, soon)
	d.awaitCode(t, d.master, "ok")
}

// blocked: a server that blocks one director's address (error 1129), here because of bare TCP connections from it, is
// not down: clients connect from their own addresses.
func (d *databases) blocked(t *testing.T) {
	mark, other := d.master.daemon.Mark(), d.backup.daemon.Mark()
	d.one.Exec("SET GLOBAL max_connect_errors = 1")
	defer d.one.Exec("SET GLOBAL max_connect_errors = 100")
	lab.Eventually(t, soon, func() error {
		ctx, cancel := withDeadline()
		defer cancel()
		for range 5 {
			if conn, err := d.master.Dial(ctx, "tcp4", rs1); err == nil {
				_ = conn.Close()
			}
		}
		if d.one.Query("SELECT SUM(COUNT_HOST_BLOCKED_ERRORS) FROM performance_schema.host_cache WHERE IP = '10.77.0.2'") == "0" {
			return fmt.Errorf("lvs-master is not blocked: %v", d.one.Rows("SELECT * FROM performance_schema.host_cache"))
		}
		return nil
	})
	t.Log(mark.WaitLog(`level=WARN .*check is inconclusive.*code=blocked .*Error 1129: .*FLUSH HOSTS`, soon).Text)
	d.awaitCode(t, d.master, "blocked")
	lab.Consistently(t, outWithin+checkInterval, func() error { return d.master.hasWeights(1, 1) })
	servers := map[string]bool{}
	for range 4 {
		servers[d.mustLogin("10.77.0.61", vipPort).server] = true
	}
	if !servers["mysql1"] {
		t.Error("no client connection went to the server that blocks the director")
	}
	d.one.Exec("FLUSH HOSTS")
	mark.WaitLog(`check works again`, soon)
	if strings.Contains(other.Log(), "up=false") || strings.Contains(mark.Log(), "up=false") {
		t.Errorf("a blocked director took a server out:\n%s\n%s", mark.Log(), other.Log())
	}
}

// full: a server at max_connections (error 1040) accepts no more clients, so it gets weight 0 while another one accepts
// them. Existing sessions stay, and if both servers are full neither is taken out.
func (d *databases) full(t *testing.T) {
	fill := func(address string) (sessions []*session) {
		for refused := 0; refused < 3; { // a check may have had the last slot for a moment
			s, err := d.login("10.77.0.69", address)
			switch {
			case err == nil:
				sessions, refused = append(sessions, s), 0
			case strings.Contains(err.Error(), "1040"):
				refused++
			default:
				t.Fatal(err)
			}
		}
		return sessions
	}
	release := func(sessions []*session) {
		for _, s := range sessions {
			_ = s.conn.Close()
			_ = s.wire.Close()
		}
	}
	for _, m := range []*mariadb.Server{d.one, d.two} { // not before: a server counts a connection for a moment after its end
		m.Exec("SET GLOBAL max_connections = 14")
	}
	mark := d.master.daemon.Mark()
	first := fill(rs1)
	t.Logf("%d sessions fill mysql1", len(first))
	t.Log(mark.WaitLog(`verdict server=mysql/mysql1 up=true full=true code=full .*Error 1040: .*max_connections`, soon).Text)
	for _, n := range []*node{d.master, d.backup} {
		lab.Eventually(t, soon, func() error { return n.hasWeights(0, 1) })
	}
	for range 4 {
		if s := d.mustLogin("10.77.0.61", vipPort); s.server != "mysql2" {
			t.Errorf("a new connection went to %s, which is full", s.server)
		}
	}
	second := fill(rs2)
	mark.WaitLog(`verdict server=mysql/mysql2 up=true full=true code=full `, soon)
	for _, n := range []*node{d.master, d.backup} {
		lab.Eventually(t, soon, func() error { return n.hasWeights(1, 1) })
	}
	lab.Consistently(t, outWithin, func() error { return d.master.hasWeights(1, 1) })
	for _, s := range append(first[:1:1], second[0]) {
		if err := s.unchanged(); err != nil {
			t.Errorf("an existing session: %v", err)
		}
	}
	release(second)
	lab.Eventually(t, soon, func() error { return d.master.hasWeights(0, 1) })
	release(first)
	for _, n := range []*node{d.master, d.backup} {
		lab.Eventually(t, soon, func() error { return n.hasWeights(1, 1) })
	}
}
