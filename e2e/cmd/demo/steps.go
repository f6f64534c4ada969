package main

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab/mariadb"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// begin builds the cluster and shows that it works.
func (s *demo) begin() []expectation {
	s.timeline.now("lab", "one LAN, five hosts; MariaDB starts on two of them")
	s.servers()
	s.timeline.now("mysql", "two servers, MariaDB %s; each replicates from the other, auto-increment 2/1 and 2/2", s.mysql1.Query("SELECT VERSION()"))
	s.timeline.now("lab", "starts an agent on each MySQL server, then both directors")
	s.daemons()
	started := s.master.daemon.WaitLog("to=BACKUP", maxWait).At
	vipUp := s.eventually(maxWait, "a director has the VIP", func() bool { return s.master.hasVIP() || s.backup.hasVIP() })
	for _, director := range []*node{s.master, s.backup} {
		for _, server := range []*node{s.rs1, s.rs2} {
			s.eventually(maxWait, server.Name+" is in the table of "+director.Name, func() bool { return director.balances(server) })
		}
	}
	s.probe = measure.Start(s.client, probePort, measure.Options{Every: probeEvery})
	s.mysql = measure.Start(s.client, mysqlPort, measure.Options{
		Every: mysqlEvery, Timeout: 2 * time.Second, MySQL: &measure.Login{User: mariadb.AppUser, Password: mariadb.AppPassword},
	})
	s.mysql.WaitAnswered("", maxWait)
	s.timeline.now("lvs-master", "status: %s", s.master.reason())
	s.timeline.now("lvs-backup", "status: %s", s.backup.reason())
	s.timeline.now("lvs-master", "ipvsadm -Ln")
	table := s.master.table()
	s.timeline.block(table.Text)
	same := table.Rule() == s.backup.table().Rule()
	return []expectation{
		within("the VIP was up after the director started, in", started, vipUp, 3*advert+skewMaster+time.Second, "= 3 adverts + skew + 1 s"),
		s.holder(s.master),
		is("the tables of both directors are the same", same, yes(same)),
		s.answers(),
		s.row(),
	}
}

// answers counts the answers by server while nothing changes.
func (s *demo) answers() expectation {
	const rounds = 6
	from := time.Now()
	time.Sleep(rounds * (weight1 + 1) * mysqlEvery)
	r := s.since(s.mysql, from)
	by := r.AnsweredBy()
	one, two := by["mysql1"], by["mysql2"]
	// Exact for whole rounds; the window may cut a round at both ends.
	exact := two > 1 && one >= weight1*(two-1) && one <= weight1*(two+1)
	return expectation{
		what: "wrr 3:1: answers of mysql1, mysql2; failures", got: fmt.Sprintf("%d, %d, %d", one, two, r.Failed()),
		want: "3:1, none failed", met: exact && r.Failed() == 0,
	}
}

// row writes a row through the VIP on mysql1 and reads it on mysql2.
func (s *demo) row() expectation {
	s.app = s.openSession("mysql1")
	id := s.write(s.app, "hello")
	s.mysql1.WaitReplicated(s.mysql2, maxWait)
	found := s.mysql2.Query("SELECT note FROM app.notes WHERE id = ?", id)
	return is("a row written on mysql1 is read on mysql2", found == "hello", fmt.Sprintf("id %d: %s", id, found))
}

// stopMySQL stops mysqld on a real server (V3 of seed 001).
func (s *demo) stopMySQL() []expectation {
	from := time.Now()
	s.timeline.now("mysql2", "systemctl stop mariadb")
	s.mysql2.Signal(syscall.SIGTERM)
	goneBackup := time.Time{}
	gone := s.eventually(maxWait, "mysql2 has left the table of lvs-master", func() bool {
		if goneBackup.IsZero() && !s.backup.balances(s.rs2) {
			goneBackup = time.Now()
		}
		return !s.master.balances(s.rs2)
	})
	if goneBackup.IsZero() {
		goneBackup = s.eventually(maxWait, "mysql2 has left the table of lvs-backup", func() bool { return !s.backup.balances(s.rs2) })
	}
	time.Sleep(time.Second) // to see logins that only mysql1 can answer
	all := s.since(s.mysql, from)
	s.mysql2.Wait(maxWait)
	s.write(s.app, "written while mysql2 was down")
	s.timeline.now("client", "%s", queries(all))
	s.timeline.now("lvs-master", "ipvsadm -Ln -t "+mysqlPort)
	s.timeline.block(s.service())
	const limit, because = fall*checkEvery + checkTimeout, "= fall × interval + timeout"
	lived := s.app.alive()
	return []expectation{
		outage(all, 750*time.Millisecond, "(mysql1 goes on)"),
		within("mysql2 out of the table of lvs-master after", from, gone, limit, because),
		within("mysql2 out of the table of lvs-backup after", from, goneBackup, limit, because),
		none("logins that failed once it was out", all, gone),
		is("the session on mysql1 is the same connection", lived, yes(lived)),
	}
}

// startMySQL starts mysqld on that real server again (V4).
func (s *demo) startMySQL() []expectation {
	s.timeline.now("mysql2", "systemctl start mariadb")
	s.mysql2.Start()
	ready := s.mysql2.WaitLog("ready for connections", maxWait).At
	s.timeline.at(ready, "mysql2", "ready for connections")
	back := s.eventually(maxWait, "mysql2 is back in the table", func() bool { return s.master.balances(s.rs2) })
	s.eventually(maxWait, "mysql2 is back in the table of lvs-backup", func() bool { return s.backup.balances(s.rs2) })
	s.mysql.WaitAnswered("mysql2", maxWait)
	all := s.since(s.mysql, ready)
	s.mysql1.WaitReplicated(s.mysql2, maxWait)
	missed := s.mysql2.Query("SELECT COUNT(*) FROM app.notes WHERE note LIKE 'written while%'")
	s.timeline.now("client", "%s", queries(all))
	return []expectation{
		outage(all, 750*time.Millisecond, "(no interruption)"),
		within("mysql2 back in the table after", ready, back, rise*checkEvery+checkTimeout, "= rise × interval + timeout"),
		none("logins that failed meanwhile", all, ready),
		is("it has the row written while it was down", missed == "1", missed+" row"),
	}
}

// Limits for the client's outage when lvs-master fails without a priority-0 advert: the master down interval of
// lvs-backup, counted from the last advert. The slack is for the take-over itself, two intervals of the client, and a
// slow guest. Nobody waits for a handover or a preemption: handoverLimit is ten intervals of the client, for a slow guest.
const (
	slack         = 150 * time.Millisecond
	failLimit     = masterDown + slack
	failBecause   = "= 3 adverts + skew + 0.15 s"
	handoverLimit = 10 * probeEvery
)

// cutCable takes down the carrier of lvs-master.
func (s *demo) cutCable() []expectation {
	from := time.Now()
	s.timeline.now("lab", "pulls the cable of lvs-master")
	s.master.Link("eth0").CarrierDown()
	s.awaitTakeOver()
	probe := s.report(from)
	return []expectation{outage(probe, failLimit, failBecause), s.holder(s.backup)}
}

// plugCable restores the carrier, after which lvs-master preempts lvs-backup.
func (s *demo) plugCable() []expectation {
	from := time.Now()
	s.timeline.now("lab", "plugs the cable of lvs-master in")
	s.master.Link("eth0").CarrierUp()
	return s.comeBack(from)
}

// stopDirector stops the director on lvs-master (V5).
func (s *demo) stopDirector() []expectation {
	from := time.Now()
	s.timeline.now("lvs-master", "systemctl stop lvs-director")
	code := s.master.daemon.Stop()
	s.awaitTakeOver()
	probe := s.report(from)
	left := s.master.table()
	clean := code == 0 && len(left.Services) == 0 && !s.master.hasVIP()
	return []expectation{
		outage(probe, handoverLimit, "(a handover)"),
		s.holder(s.backup),
		is("exit code 0, no VIP and no table left behind", clean, yes(clean)),
	}
}

// startDirector starts it again (V6). It has the higher priority and preempts lvs-backup.
func (s *demo) startDirector() []expectation {
	from := time.Now()
	s.timeline.now("lvs-master", "systemctl start lvs-director")
	s.master.start()
	return s.comeBack(from)
}

// killDirector kills the director, so that no process on lvs-master can clean up.
func (s *demo) killDirector() []expectation {
	from := time.Now()
	s.timeline.now("lvs-master", "kill -9 of lvs-director: no process is left there to remove the VIP")
	s.master.daemon.Kill()
	if s.master.hasVIP() && s.master.balances(s.rs1) {
		s.timeline.now(s.master.Name, "its kernel still has the VIP and the table, and keeps forwarding")
	}
	s.awaitTakeOver()
	gone := s.eventually(maxWait, "the VIP has left lvs-master", func() bool { return !s.master.hasVIP() })
	s.timeline.at(gone, s.master.Name, "the kernel removes the VIP: its lease has expired")
	probe := s.report(from)
	return []expectation{
		outage(probe, failLimit, failBecause),
		within("the VIP gone from lvs-master, no daemon there", from, gone, lease+1500*time.Millisecond, "= lease + 1.5 s"),
		s.holder(s.backup),
	}
}

// awaitTakeOver waits until lvs-backup has the VIP and clients are answered.
func (s *demo) awaitTakeOver() {
	s.eventually(maxWait, "lvs-backup has the VIP", s.backup.hasVIP)
	s.probe.WaitAnswered("", maxWait)
	s.mysql.WaitAnswered("", maxWait)
}

// report prints who is MASTER and why, and the result of the MySQL client. It returns the result of the probe client,
// which connects more often.
func (s *demo) report(from time.Time) measure.Result {
	probe, mysql := s.since(s.probe, from), s.since(s.mysql, from)
	s.logs.flush()
	for _, n := range []*node{s.master, s.backup} {
		if n.daemon.Running() {
			s.timeline.now(n.Name, "status: %s", n.reason())
		}
	}
	s.timeline.now("client", "%s", queries(mysql))
	return probe
}

// comeBack waits until lvs-master has the VIP again, and returns the expectations for the preemption.
func (s *demo) comeBack(from time.Time) []expectation {
	s.eventually(maxWait, "lvs-master has the VIP again", s.master.hasVIP)
	s.eventually(maxWait, "lvs-backup has released the VIP", func() bool { return !s.backup.hasVIP() })
	full := s.master.balances(s.rs1) && s.master.balances(s.rs2)
	probe := s.report(from)
	return []expectation{
		outage(probe, handoverLimit, "(a preemption)"),
		is("the table was full when it took the VIP", full, yes(full)),
		s.holder(s.master),
	}
}

func (s *demo) holder(n *node) expectation {
	holders := s.holders()
	return expectation{what: "the VIP is held by", got: holders, want: n.Name + " alone", met: holders == n.Name}
}

// service returns the MySQL service in lvs-master's table.
func (s *demo) service() string {
	out, err := s.master.Try("ipvsadm", "-Ln", "-t", mysqlPort)
	if err != nil {
		return err.Error()
	}
	return out
}

// queries returns the result of the MySQL client in one line.
func queries(r measure.Result) string {
	by, failures := r.AnsweredBy(), r.Failures()
	var parts []string
	for _, server := range []string{"mysql1", "mysql2"} {
		parts = append(parts, fmt.Sprintf("%s answered %d", server, by[server]))
	}
	var causes []string
	for cause := range failures {
		causes = append(causes, cause)
	}
	slices.Sort(causes)
	for _, cause := range causes {
		parts = append(parts, fmt.Sprintf("%d failed (%s)", failures[cause], cause))
	}
	return fmt.Sprintf("%d logins: %s", len(r.Attempts), strings.Join(parts, ", "))
}
