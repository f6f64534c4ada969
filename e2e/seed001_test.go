package e2e

import (
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/mariadb"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// Seed 001 has advert_int 1. An interval of 300 ms shows the same, because the election timers are proportional to it.
const (
	seedAdvert     = 300 * time.Millisecond
	seedSkew       = seedAdvert * (256 - 100) / 256 // of priority 100; RFC 9568, section 6.1
	seedMasterDown = 3*seedAdvert + seedSkew
	seedLease      = 3 * time.Second // the default for this interval

	seedEvery = 100 * time.Millisecond // between two logins of the client
)

func seed001Shape() shape {
	return shape{advert: seedAdvert.String(), scheduler: "wrr", server: "persistence: {timeout: 50s}", weights: [2]int{3, 3}}
}

// seed001 is the cluster of seed 001: two directors, two MySQL servers that replicate from each other, wrr with weight
// 3 each, persistence 50 s, DR.
type seed001 struct {
	*databases
	sessions []*session // of two applications, one on each server, opened in 001-1
}

// TestSeed001: one cluster passes the manual acceptance checks of seed 001 (V1 to V6), in their order.
//
// Proves README.md: "Two **directors** elect the holder of the address by VRRP; the holder balances connections to the
// **real servers** with the IPVS of the Linux kernel, and takes those out that fail their checks."
// Proves docs/quickstart.md: "out of `ipvsadm -Ln` within fall × interval + timeout, 3 s | those on `mysql1` are not
// affected"
// Proves docs/quickstart.md: "`lvs-master` takes the VIP back, unless `preempt: false` is set"
func TestSeed001(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.MariaDB)
	lab.HasLongForm(t)
	s := &seed001{databases: newDatabases(t, seed001Shape(), mariadb.Options{})}
	for _, step := range []struct {
		name string
		do   func(t *testing.T)
	}{
		{"001-1 both started", s.started},
		{"001-2 mysqld stopped on one", s.serverStopped},
		{"001-3 mysqld started again", s.serverStarted},
		{"001-4 director stopped", s.directorStopped},
		{"001-5 director killed", s.directorKilled},
		{"001-5 NIC of the director down", s.directorCut},
		{"001-6 director returns", s.directorReturns},
		{"001-6 director returns without preempt", s.directorReturnsWithoutPreempt},
	} {
		if !t.Run(step.name, step.do) {
			return
		}
	}
}

// started is V1 and V2: the VIP is on the NIC of one director and on the lo of every real server, both directors have
// the table, and two applications write through the VIP and stay on their servers.
func (s *seed001) started(t *testing.T) {
	s.startAll()
	for _, n := range []*node{s.mysql1, s.mysql2} {
		s.awaitAgent(n)
	}
	table := s.master.table()
	service := table.Service(vipPort)
	if service.Protocol != "TCP" || service.Scheduler != "wrr" || service.Persistent != 50 {
		t.Errorf("want TCP, wrr, persistent 50:\n%s", table.Text)
	}
	for _, address := range []string{rs1, rs2} {
		if r := service.Server(address); r.Forward != "Route" || r.Weight != 3 {
			t.Errorf("want Route, weight 3 for %s:\n%s", address, table.Text)
		}
	}
	if got, want := s.backup.table().Rule(), table.Rule(); got != want {
		t.Errorf("the table of %s is not ready:\n%s\nwant\n%s", s.backup.Name, got, want)
	}
	for _, user := range []string{"10.77.0.61", "10.77.0.62"} {
		session := s.mustLogin(user, vipPort)
		s.sessions = append(s.sessions, session)
		for range 3 {
			if again := s.mustLogin(user, vipPort); again.server != session.server {
				t.Errorf("%s got %s and then %s despite the persistence", user, session.server, again.server)
			}
		}
		s.write(t, session, "001-1")
	}
	if s.sessions[0].server == s.sessions[1].server {
		t.Fatalf("wrr 3:3 sent both applications to %s", s.sessions[0].server)
	}
	s.one.WaitReplicated(s.two, soon)
	s.two.WaitReplicated(s.one, soon)
	for _, server := range []*mariadb.Server{s.one, s.two} {
		if got := server.Query("SELECT COUNT(*) FROM app.notes"); got != "2" {
			t.Errorf("%s has %s of 2 rows: %v", server, got, server.Rows("SELECT * FROM app.notes"))
		}
	}
}

func (s *seed001) write(t *testing.T, on *session, note string) {
	t.Helper()
	ctx, cancel := withDeadline()
	defer cancel()
	if _, err := on.conn.ExecContext(ctx, "INSERT INTO notes (note) VALUES (?)", note+" by "+on.user+" on "+on.server); err != nil {
		t.Errorf("%s on %s cannot write: %v", on.user, on.server, err)
	}
}

// sessionOn returns the open session on that server.
func (s *seed001) sessionOn(server string) *session {
	for _, h := range s.sessions {
		if h.server == server {
			return h
		}
	}
	s.t.Fatalf("no session on %s", server)
	return nil
}

// serverStopped is V3: a graceful stop of mysqld.
func (s *seed001) serverStopped(t *testing.T) {
	mark := s.master.daemon.Mark()
	// The reset may come as soon as the application's host acknowledges the end of its connection.
	rst := capture.Start(s.users, "eth0", "tcp[tcpflags] & tcp-rst != 0 and src host "+vip)
	s.master.afterCheck(s.mysql2)
	stopped := time.Now()
	if code := s.two.Stop(); code != 0 {
		t.Errorf("mysqld exited with %d", code)
	}
	out := s.master.awaitTableChange(mark, rs2, false).Sub(stopped)
	t.Logf("out of the table after %s", out)
	if most := outWithin + allowance; out > most {
		t.Errorf("out of the table after %s, want at most %s", out, most)
	}
	t.Log(mark.WaitLog(`verdict server=mysql/mysql2 up=false .*down: mysql: .*10\.77\.0\.12:3306: `, soon).Text)
	s.awaitTable(s.backup, rs1)

	kept, lost := s.sessionOn("mysql1"), s.sessionOn("mysql2")
	waited, err := lost.awaitReset(2 * time.Second)
	if err != nil {
		t.Errorf("the application of the stopped server: %v", err)
	}
	t.Logf("the application of the stopped server got the end of its connection after %s", waited)
	rst.Wait(s.master.mac()+" > ", 2*time.Second) // from the director, because of expire_nodest_conn
	rst.Stop()
	if err := kept.unchanged(); err != nil {
		t.Error(err)
	}
	s.write(t, kept, "001-2")
	// The first was bound to mysql2 by persistence, the last two are new.
	for _, user := range []string{lost.user, kept.user, "10.77.0.63", "10.77.0.64"} {
		if again := s.mustLogin(user, vipPort); again.server != "mysql1" {
			t.Errorf("%s got a connection to %s", user, again.server)
		}
	}
}

// serverStarted is V4: mysqld is started again.
func (s *seed001) serverStarted(t *testing.T) {
	mark := s.master.daemon.Mark()
	s.two.Start()
	started := time.Now()
	back := s.master.awaitTableChange(mark, rs2, true).Sub(started)
	t.Logf("back in the table after %s", back)
	if most := backWithin + allowance; back > most {
		t.Errorf("back after %s, want at most %s", back, most)
	}
	t.Log(mark.WaitLog(`verdict server=mysql/mysql2 up=true `, soon).Text)
	s.awaitTable(s.backup, rs1, rs2)
	if err := s.sessionOn("mysql1").unchanged(); err != nil {
		t.Error(err)
	}
	servers := map[string]bool{}
	for _, user := range []string{"10.77.0.65", "10.77.0.66"} { // new applications, which wrr 3:3 distributes
		servers[s.mustLogin(user, vipPort).server] = true
	}
	if !servers["mysql2"] {
		t.Error("mysql2 gets no connection")
	}
	lab.Eventually(t, soon, s.two.Replicating)
	s.one.WaitReplicated(s.two, soon)
}

// startClient starts a client that repeatedly logs in and queries through the VIP.
func (s *seed001) startClient() *measure.Client {
	s.t.Helper()
	m := measure.Start(s.client, vipPort, measure.Options{
		Every: seedEvery, Timeout: time.Second, MySQL: &measure.Login{User: mariadb.AppUser, Password: mariadb.AppPassword},
	})
	m.WaitAnswered("", soon)
	return m
}

// failOver applies a fault to lvs-master right after an advert, the worst moment, and checks that lvs-backup holds the
// VIP and has announced it within down after the last advert of lvs-master, and that the client is served again.
func (s *seed001) failOver(t *testing.T, down time.Duration, fault func()) {
	t.Helper()
	m := s.startClient()
	segment := s.segment()
	segment.Wait(`10\.77\.0\.2 > 224\.0\.0\.18`, soon)
	begun := time.Now()
	fault()
	forms := []string{"Request who-has " + vip + " ", "Reply " + vip + " is-at " + s.backup.mac()}
	for _, form := range forms {
		segment.Wait(s.backup.mac()+" > ff:ff:ff:ff:ff:ff.*"+form, soon)
	}
	m.WaitAnswered("", soon)
	gap := m.Stop().Since(begun).LongestGap()
	packets := segment.Stop()
	// Two MariaDB servers share the guest's only CPU with the directors, and the exit of a process is not preempted.
	announced, limit := takeoverTime(t, packets, s.master, s.backup, begun), down+2*takeoverAllowance
	t.Logf("first gratuitous ARP after %s, limit %s; longest gap %s", announced, limit, gap)
	if announced > limit {
		t.Errorf("first gratuitous ARP %s after the last advert of lvs-master, want at most %s", announced, limit)
	}
	// A login in progress fails too, and the next attempt starts only at its scheduled time.
	if most := limit + 2*seedEvery; gap.Duration > most {
		t.Errorf("longest gap %s, want at most %s", gap, most)
	}
	for _, form := range forms {
		if len(capture.Matching(announcements(packets, s.backup, begun, time.Now()), "> ff:ff:ff:ff:ff:ff.*"+form)) == 0 {
			t.Errorf("no gratuitous ARP of the form %q from %s: %v", form, s.backup.Name, packets)
		}
	}
	if !s.backup.holds() {
		t.Errorf("%s does not hold the VIP", s.backup.Name)
	}
	if table := s.backup.table(); len(table.Service(vipPort).Servers) != 2 {
		t.Errorf("want both real servers:\n%s", table.Text)
	}
}

// directorStopped is V5: a graceful stop hands over, so that the other director has the VIP before this one lets it go.
func (s *seed001) directorStopped(t *testing.T) {
	vrrp := capture.Start(s.client, "eth0", lab.VRRP)
	s.failOver(t, seedSkew, func() {
		if code := s.master.daemon.Stop(); code != 0 {
			t.Errorf("the director exited with %d", code)
		}
	})
	if resignations := capture.Matching(vrrp.Stop(), `10\.77\.0\.2 > 224\.0\.0\.18.* prio 0,`); len(resignations) != 0 {
		t.Errorf("%d adverts with priority 0, want none: %v", len(resignations), resignations)
	}
	if s.master.holds() || s.master.table().Service(vipPort).Exists() {
		t.Errorf("the VIP or the table is left on %s:\n%s\n%s", s.master.Name, s.master.Run("ip", "-o", "addr"), s.master.table().Text)
	}
	s.master.start() // the VIP returns; 001-6 judges that in detail
	s.awaitHolder(s.master, soon)
}

func (s *seed001) directorKilled(t *testing.T) {
	watch := s.master.watchVIP()
	var killed time.Time
	s.failOver(t, seedMasterDown, func() {
		killed = time.Now()
		s.master.daemon.Kill()
	})
	s.judgeLeaseEnd(t, watch, killed)
	s.master.start()
	s.awaitHolder(s.master, soon)
}

func (s *seed001) directorCut(t *testing.T) {
	nic, watch := s.master.Link("eth0"), s.master.watchVIP()
	var cut time.Time
	s.failOver(t, seedMasterDown, func() {
		cut = time.Now()
		nic.CarrierDown()
	})
	s.judgeLeaseEnd(t, watch, cut)
	if code := s.master.daemon.Stop(); code != 0 {
		t.Errorf("the director exited with %d", code)
	}
	nic.CarrierUp()
}

// judgeLeaseEnd fails the test if lvs-master keeps the VIP longer than its lease after the event.
func (s *seed001) judgeLeaseEnd(t *testing.T, watch *vipWatch, event time.Time) {
	t.Helper()
	kept := watch.awaitEnd(soon).Sub(event)
	t.Logf("lvs-master lost the VIP after %s", kept)
	if kept > seedLease+leaseEndAllowance {
		t.Errorf("lvs-master kept the VIP for %s, want at most %s", kept, seedLease+leaseEndAllowance)
	}
}

// directorReturns is V6: the director of higher priority takes the VIP back, but only with real servers in its table.
// Its checks get no answer at first; meanwhile the other director keeps serving, and no client notices the return.
func (s *seed001) directorReturns(t *testing.T) {
	m := s.startClient()
	nic, watch := s.master.Link("eth0"), s.master.watchVIP()
	nic.Drop(lab.FromHost, "tcp dst port 3306 and not dst host "+vip)
	s.master.start().WaitLog("from=INIT to=BACKUP", soon)
	time.Sleep(seedMasterDown + 500*time.Millisecond)
	if periods := watch.periods(); len(periods) > 0 || !s.backup.holds() {
		t.Fatalf("lvs-master took the VIP although none of its checks has been answered: %v\n%s", periods, s.master.table().Text)
	}
	answered := time.Now()
	nic.StopDropping()
	filled := loggedAt(t, s.master.daemon.WaitLog(`msg=table change="ipvsadm -a -t \S+ -r `, soon))
	taken := watch.awaitPeriods(1)[0].from
	t.Logf("lvs-master has the VIP %s after checks are answered, %s after its first real server", taken.Sub(answered), taken.Sub(filled))
	if filled.After(taken) {
		t.Errorf("lvs-master had the VIP and an empty table for %s", filled.Sub(taken))
	}
	m.WaitAnswered("", soon)
	r := m.Stop()
	t.Log(r)
	// A login in progress at the moment of the change fails: the other director does not have its connection.
	if gap := r.LongestGap(); r.Failed() > 2 || gap.Duration > time.Second {
		t.Errorf("the return was noticed: %s", r)
	}
	s.awaitHolder(s.master, soon)
}

// directorReturnsWithoutPreempt: with preempt: false the returning director stays BACKUP.
func (s *seed001) directorReturnsWithoutPreempt(t *testing.T) {
	lab.LongPart(t)
	without := seed001Shape()
	without.noPreempt = true
	without.check = mysqlCheck
	s.configure(without)
	for _, n := range []*node{s.master, s.backup} {
		if out, err := n.ctl("reload"); err != nil {
			t.Fatalf("%s: lvsctl reload: %v\n%s", n.Name, err, out)
		}
	}
	s.master.daemon.Stop()
	s.awaitHolder(s.backup, soon)
	m, watch := s.startClient(), s.master.watchVIP()
	s.master.start()
	s.awaitTable(s.master, rs1, rs2)
	time.Sleep(seedMasterDown + time.Second)
	if periods := watch.periods(); len(periods) > 0 || !s.backup.holds() {
		t.Errorf("lvs-master took the VIP: %v", periods)
	}
	if r := m.Stop(); r.Failed() > 0 {
		t.Errorf("the return was noticed: %s", r)
	}
}
