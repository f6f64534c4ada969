package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/mariadb"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// TestKick: on a real server that is drained, the connections through the VIP are ended, and no others: not those through
// the VIP to the other real server, and not those to the server's own address.
//
// Proves docs/maintenance.md: "ends the TCP connections that came through a VIP, and no others"
func TestKick(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.SockDestroy)
	lab.Long(t)
	c := newCluster(t, shape{advert: "200ms"})
	c.answering()
	c.startAll()
	through := measure.OpenConnections(c.client, vipPort, 8)
	direct := measure.OpenConnections(c.client, rs1, 2)
	replica := measure.OpenConnections(c.mysql2.Host, rs1, 1)
	for _, n := range []*node{c.master, c.backup} {
		n.mustCtl("drain", "mysql/mysql1")
		n.awaitEntry(rs1, 0)
	}
	c.kickPrints("mysql/mysql1, 10.77.0.100:3306: 4 connections of 1 client", "--dry-run")
	alive(t, "after a dry run", through, map[string]int{"mysql1": 4, "mysql2": 4})

	packets := capture.Start(c.client, "eth0", "tcp[tcpflags] & tcp-rst != 0")
	c.kickPrints("mysql/mysql1, 10.77.0.100:3306: 4 of 4 connections of 1 client ended")
	lab.Eventually(t, soon, func() error {
		if n := len(packets.Packets()); n < 4 {
			return fmt.Errorf("%d resets", n)
		}
		return nil
	})
	alive(t, "after kick", through, map[string]int{"mysql2": 4})
	alive(t, "after kick, to the real server's own address", direct, map[string]int{"mysql1": 2})
	alive(t, "after kick, of another real server", replica, map[string]int{"mysql1": 1})
	resets := packets.Stop()
	if from := capture.Matching(resets, vip+".3306 > "); len(from) != 4 || len(resets) != 4 {
		t.Errorf("%d resets, %d of them from the VIP, want 4: %v", len(resets), len(from), resets)
	}
	if out := c.mysql1.Run("ss", "-Htn", "src", vip); strings.TrimSpace(out) != "" {
		t.Errorf("left on mysql1:\n%s", out)
	}
	c.kickPrints("mysql/mysql1, 10.77.0.100:3306: no connections")
}

// kickPrints runs lvsctl kick on mysql1.
func (c *cluster) kickPrints(want string, more ...string) {
	c.t.Helper()
	args := append([]string{program(c.t, "lvsctl"), "kick", "mysql/mysql1", "--config", c.file, "--node", "mysql1"}, more...)
	if out, err := c.mysql1.Try(args...); err != nil || strings.TrimSpace(out) != want {
		c.t.Errorf("lvsctl kick %s: %v, %q; want %q", more, err, out, want)
	}
}

// TestKickByKill: where the kernel cannot, MariaDB ends them: the sessions through the VIP, but neither those of the same client to the
// server's own address nor the replication. With names of clients in the process list it does so only if told to, for all of a client.
//
// Proves docs/maintenance.md: "`--kill` has the MySQL server end them"
func TestKickByKill(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.MariaDB)
	lab.Long(t)
	d := newDatabases(t, shape{advert: "200ms"}, mariadb.Options{NameResolve: true})
	d.mysql1.HostsFile("127.0.0.1 localhost\n10.77.0.2 lvs-master\n10.77.0.3 lvs-backup\n10.77.0.12 mysql2\n10.77.0.61 app1\n")
	d.startAll()
	d.kickPrints("mysql/mysql1, 10.77.0.100:3306: no connections")
	through, other := d.onServers()
	direct := d.mustLogin("10.77.0.61", rs1)
	d.kickFails("this kernel cannot end connections (CONFIG_INET_DIAG_DESTROY): --kill has ")
	kill := []string{"--kill", "--defaults-file", d.one.DefaultsFile()}
	d.kickFails("the process list does not tell which connections of app1 came through the VIP", kill...)
	d.goOn(t, through, other, direct)
	d.kickPrints("mysql/mysql1, 10.77.0.100:3306: 1 of 1 connection of 1 client ended, and 1 more of the same", append(kill, "--all-of-client")...)
	d.ended(t, through, direct)
	d.goOn(t, other)

	d.one.Stop()
	d.one.StartSkipping()
	lab.Eventually(t, soon, d.two.Replicating)
	d.awaitTable(d.master, rs1, rs2)
	through, other = d.onServers()
	direct = d.mustLogin("10.77.0.61", rs1)
	d.kickPrints("mysql/mysql1, 10.77.0.100:3306: 1 of 1 connection of 1 client ended", kill...)
	d.ended(t, through)
	d.goOn(t, other, direct)
}

// kickFails runs lvsctl kick on mysql1, which must fail with a text.
func (c *cluster) kickFails(want string, more ...string) {
	c.t.Helper()
	args := append([]string{program(c.t, "lvsctl"), "kick", "mysql/mysql1", "--config", c.file, "--node", "mysql1"}, more...)
	if out, err := c.mysql1.Try(args...); err == nil || !strings.Contains(err.Error(), want) {
		c.t.Errorf("lvsctl kick %s: %v, %q; want %q", more, err, out, want)
	}
}

// goOn checks that sessions, and the replication in both directions, go on.
func (d *databases) goOn(t *testing.T, sessions ...*session) {
	t.Helper()
	for _, s := range sessions {
		if _, id, err := s.ask(); err != nil || id != s.id {
			t.Errorf("a session on %s does not go on: %v", s.server, err)
		}
	}
	for _, m := range []*mariadb.Server{d.one, d.two} {
		if err := m.Replicating(); err != nil {
			t.Error(err)
		}
	}
}

// ended checks that sessions have ended.
func (d *databases) ended(t *testing.T, sessions ...*session) {
	t.Helper()
	for _, s := range sessions {
		if _, id, err := s.ask(); err == nil && id == s.id {
			t.Errorf("a session on %s goes on", s.server)
		}
	}
}

// onServers opens sessions through the VIP until there is one on each real server.
func (d *databases) onServers() (one, two *session) {
	d.t.Helper()
	one, two = d.mustLogin("10.77.0.61", vipPort), d.mustLogin("10.77.0.61", vipPort)
	if one.server == "mysql2" {
		one, two = two, one
	}
	if one.server != "mysql1" || two.server != "mysql2" {
		d.t.Fatalf("the sessions are on %s and %s", one.server, two.server)
	}
	return one, two
}
