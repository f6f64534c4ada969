package main

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// begin builds everything and shows that it stands.
func (s *show) begin() []expectation {
	s.story.now("lab", "one LAN, five hosts; MariaDB starts on two of them")
	s.servers()
	s.story.now("mysql", "two servers, MariaDB %s; each replicates from the other, auto-increment 2/1 and 2/2", s.mysql1.Query("SELECT VERSION()"))
	s.story.now("lab", "starts an agent on each MySQL server, then both directors")
	started := time.Now()
	s.daemons()
	held := s.eventually(patience, "a director has the VIP", func() bool { return s.master.hasVIP() || s.backup.hasVIP() })
	for _, director := range []*node{s.master, s.backup} {
		for _, server := range []*node{s.rs1, s.rs2} {
			s.eventually(patience, server.Name+" is in the table of "+director.Name, func() bool { return director.balances(server) })
		}
	}
	s.pulse = lab.Measure(s.client, pulsePort, lab.MeasureOptions{Every: pulseEvery})
	s.mysql = lab.Measure(s.client, mysqlPort, lab.MeasureOptions{
		Every: mysqlEvery, MySQL: &lab.MySQLLogin{User: lab.AppUser, Password: lab.AppPassword},
	})
	s.mysql.WaitAnswered("", patience)
	holders := s.holders()
	s.story.now("lvs-master", "ipvsadm -Ln")
	table := s.master.IPVS()
	s.story.block(table.Text)
	same := table.Rule() == s.backup.IPVS().Rule()
	return append([]expectation{
		within("the VIP was held after the start for", held.Sub(started), 3*advert+skewMaster+time.Second, "3 adverts + skew + 1 s"),
		is("exactly one director holds it: the one of priority 150", holders == s.master.Name, holders),
		is("the other's table is the same, ready", same, yes(same)),
	}, append(s.answers(), s.row())...)
}

// answers counts who answers while nothing happens.
func (s *show) answers() []expectation {
	const rounds = 6
	from := time.Now()
	time.Sleep(rounds*(weight1+1)*mysqlEvery + settle)
	r := s.since(s.mysql, from)
	by := r.AnsweredBy()
	one, two := by["mysql1"], by["mysql2"]
	// Whole rounds are exact; the window cuts a round at both ends.
	exact := two > 0 && one >= weight1*(two-1) && one <= weight1*(two+1)
	return []expectation{
		{what: "wrr 3:1: answers of mysql1 and mysql2", saw: fmt.Sprintf("%d and %d", one, two), want: fmt.Sprintf("3:1, %d failed", r.Failed()), held: exact && r.Failed() == 0},
	}
}

// row writes through the VIP and reads on the server that did not take the write.
func (s *show) row() expectation {
	s.app = s.openSession("mysql1")
	id := s.write(s.app, "hello")
	s.mysql1.WaitReplicated(s.mysql2, patience)
	found := s.mysql2.Query("SELECT note FROM app.notes WHERE id = ?", id)
	return is("a row written through the VIP is read on the other", found == "hello", fmt.Sprintf("id %d: %s", id, found))
}

// stopMySQL is V3 of those who try it by hand: a real server's mysqld goes.
func (s *show) stopMySQL() []expectation {
	from := time.Now()
	s.story.now("mysql2", "systemctl stop mariadb")
	s.mysql2.Signal(syscall.SIGTERM)
	goneBackup := time.Time{}
	gone := s.eventually(patience, "mysql2 has left the table of lvs-master", func() bool {
		if goneBackup.IsZero() && !s.backup.balances(s.rs2) {
			goneBackup = time.Now()
		}
		return !s.master.balances(s.rs2)
	})
	if goneBackup.IsZero() {
		goneBackup = s.eventually(patience, "mysql2 has left the table of lvs-backup", func() bool { return !s.backup.balances(s.rs2) })
	}
	time.Sleep(time.Second) // for queries that only mysql1 can answer
	all := s.since(s.mysql, from)
	after := all.Since(gone)
	s.mysql2.Wait(patience)
	s.write(s.app, "written while mysql2 was away")
	s.story.now("client", "%s", queries(all))
	s.story.now("lvs-master", "ipvsadm -Ln -t "+mysqlPort)
	s.story.block(s.service())
	limit := fall*checkEvery + checkTimeout
	lived := s.app.alive()
	return []expectation{
		within("mysql2 out of the table of lvs-master after", gone.Sub(from), limit, "fall × interval + timeout"),
		within("mysql2 out of the table of lvs-backup after", goneBackup.Sub(from), limit, "the same"),
		outage("the client's longest time without an answer", all, 500*time.Millisecond, "mysql1 goes on"),
		is("queries that failed once it was out", after.Failed() == 0, fmt.Sprintf("%d of %d", after.Failed(), len(after.Attempts))),
		is("the session on mysql1 lives on, the same connection", lived, yes(lived)),
	}
}

// startMySQL is V4.
func (s *show) startMySQL() []expectation {
	s.story.now("mysql2", "systemctl start mariadb")
	s.mysql2.Start()
	ready := s.mysql2.WaitLog("ready for connections", patience).At
	s.story.at(ready, "mysql2", "ready for connections")
	back := s.eventually(patience, "mysql2 is back in the table", func() bool { return s.master.balances(s.rs2) })
	s.eventually(patience, "mysql2 is back in the table of lvs-backup", func() bool { return s.backup.balances(s.rs2) })
	s.mysql.WaitAnswered("mysql2", patience)
	all := s.since(s.mysql, ready)
	s.mysql1.WaitReplicated(s.mysql2, patience)
	missed := s.mysql2.Query("SELECT COUNT(*) FROM app.notes WHERE note LIKE 'written while%'")
	return []expectation{
		within("mysql2 back in the table after", back.Sub(ready), rise*checkEvery+checkTimeout, "rise × interval + timeout"),
		is("queries that failed meanwhile", all.Failed() == 0, fmt.Sprintf("%d of %d", all.Failed(), len(all.Attempts))),
		is("it has the row written while it was away", missed == "1", missed+" row"),
	}
}

// cutCable takes the carrier of the master director away.
func (s *show) cutCable() []expectation {
	from := time.Now()
	s.story.now("lab", "pulls the cable of lvs-master")
	s.master.Link("eth0").CarrierDown()
	return s.takeOver(from, masterDown+100*time.Millisecond, "3 adverts + skew 0.61 s + 0.1 s")
}

// plugCable lets lvs-master preempt.
func (s *show) plugCable() []expectation {
	from := time.Now()
	s.story.now("lab", "plugs it in")
	s.master.Link("eth0").CarrierUp()
	return s.comeBack(from)
}

// stopDirector is V5.
func (s *show) stopDirector() []expectation {
	from := time.Now()
	s.story.now("lab", "stops lvs-director on lvs-master by SIGTERM")
	code := s.master.daemon.Stop()
	expected := s.takeOver(from, skewBackup+50*time.Millisecond, "skew 0.61 s + 50 ms")
	left := s.master.IPVS()
	return append(expected, is("lvs-master ended well and left no VIP and no table", code == 0 && len(left.Services) == 0 && !s.master.hasVIP(),
		fmt.Sprintf("exit code %d", code)))
}

// startDirector is V6: the director returns, and its priority takes the VIP back.
func (s *show) startDirector() []expectation {
	from := time.Now()
	s.story.now("lab", "starts lvs-director on lvs-master")
	s.master.start()
	return s.comeBack(from)
}

// killDirector leaves nobody on lvs-master who could clean up.
func (s *show) killDirector() []expectation {
	from := time.Now()
	s.story.now("lab", "kill -9 of lvs-director on lvs-master: nobody is left there to remove the VIP")
	s.master.daemon.Kill()
	expected := s.takeOver(from, masterDown+100*time.Millisecond, "3 adverts + skew 0.61 s + 0.1 s")
	gone := s.eventually(patience, "the VIP has left lvs-master", func() bool { return !s.master.hasVIP() })
	s.story.at(gone, s.master.Name, "the kernel takes the VIP away: its lease has run out")
	return append(expected,
		within("the VIP gone from lvs-master, with no daemon there", gone.Sub(from), lease+1500*time.Millisecond, "lease 5 s + 1.5 s"),
		s.holder(s.backup))
}

// takeOver waits until lvs-backup serves, and judges the outage.
func (s *show) takeOver(from time.Time, limit time.Duration, because string) []expectation {
	s.eventually(patience, "lvs-backup has the VIP", s.backup.hasVIP)
	s.pulse.WaitAnswered("", patience)
	s.mysql.WaitAnswered("", patience)
	pulse, mysql := s.since(s.pulse, from), s.since(s.mysql, from)
	s.story.now("lvs-backup", "status: %s", s.backup.reason())
	s.story.now("client", "%s", queries(mysql))
	expected := []expectation{outage("the client's longest time without an answer", pulse, limit, because)}
	if s.master.daemon.Running() || !s.master.hasVIP() {
		expected = append(expected, s.holder(s.backup))
	}
	return expected
}

// comeBack waits until lvs-master is MASTER again, and judges what the client noticed of it.
func (s *show) comeBack(from time.Time) []expectation {
	s.eventually(patience, "lvs-master has the VIP again", s.master.hasVIP)
	s.eventually(patience, "lvs-backup has given the VIP up", func() bool { return !s.backup.hasVIP() })
	full := s.master.balances(s.rs1) && s.master.balances(s.rs2)
	pulse, mysql := s.since(s.pulse, from), s.since(s.mysql, from)
	s.story.now("lvs-master", "status: %s", s.master.reason())
	s.story.now("client", "%s", queries(mysql))
	return []expectation{
		outage("the client's longest time without an answer", pulse, 150*time.Millisecond, "a hand-over, not an outage"),
		is("its table was full when it took the VIP", full, yes(full)),
		s.holder(s.master),
	}
}

func (s *show) holder(n *node) expectation {
	holders := s.holders()
	return is("exactly one director holds the VIP: "+n.Name, holders == n.Name, holders)
}

// service is the MySQL part of lvs-master's table.
func (s *show) service() string {
	out, err := s.master.Try("ipvsadm", "-Ln", "-t", mysqlPort)
	if err != nil {
		return err.Error()
	}
	return out
}

// queries tells in a line what the MySQL client saw.
func queries(r lab.Result) string {
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
	return fmt.Sprintf("%d MySQL logins: %s", len(r.Attempts), strings.Join(parts, ", "))
}

func yes(held bool) string {
	if held {
		return "yes"
	}
	return "no"
}
