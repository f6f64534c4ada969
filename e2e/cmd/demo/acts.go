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

// begin builds everything and shows that it stands.
func (s *show) begin() []expectation {
	s.story.now("lab", "one LAN, five hosts; MariaDB starts on two of them")
	s.servers()
	s.story.now("mysql", "two servers, MariaDB %s; each replicates from the other, auto-increment 2/1 and 2/2", s.mysql1.Query("SELECT VERSION()"))
	s.story.now("lab", "starts an agent on each MySQL server, then both directors")
	s.daemons()
	started := s.master.daemon.WaitLog("to=BACKUP", patience).At
	held := s.eventually(patience, "a director has the VIP", func() bool { return s.master.hasVIP() || s.backup.hasVIP() })
	for _, director := range []*node{s.master, s.backup} {
		for _, server := range []*node{s.rs1, s.rs2} {
			s.eventually(patience, server.Name+" is in the table of "+director.Name, func() bool { return director.balances(server) })
		}
	}
	s.pulse = measure.Start(s.client, pulsePort, measure.Options{Every: pulseEvery})
	s.mysql = measure.Start(s.client, mysqlPort, measure.Options{
		Every: mysqlEvery, Patience: 2 * time.Second, MySQL: &measure.Login{User: mariadb.AppUser, Password: mariadb.AppPassword},
	})
	s.mysql.WaitAnswered("", patience)
	s.story.now("lvs-master", "status: %s", s.master.reason())
	s.story.now("lvs-backup", "status: %s", s.backup.reason())
	s.story.now("lvs-master", "ipvsadm -Ln")
	table := s.master.table()
	s.story.block(table.Text)
	same := table.Rule() == s.backup.table().Rule()
	return []expectation{
		within("the VIP was up after the director was, by", started, held, 3*advert+skewMaster+time.Second, "= 3 adverts + skew + 1 s"),
		s.holder(s.master),
		is("the other's table is the same, ready", same, yes(same)),
		s.answers(),
		s.row(),
	}
}

// answers counts who answers while nothing happens.
func (s *show) answers() expectation {
	const rounds = 6
	from := time.Now()
	time.Sleep(rounds * (weight1 + 1) * mysqlEvery)
	r := s.since(s.mysql, from)
	by := r.AnsweredBy()
	one, two := by["mysql1"], by["mysql2"]
	// Whole rounds are exact; the window may cut a round at both ends.
	exact := two > 1 && one >= weight1*(two-1) && one <= weight1*(two+1)
	return expectation{
		what: "wrr 3:1: answers of mysql1, mysql2; failures", saw: fmt.Sprintf("%d, %d, %d", one, two, r.Failed()),
		want: "3:1, none failed", held: exact && r.Failed() == 0,
	}
}

// row writes through the VIP and reads on the server that did not take the write.
func (s *show) row() expectation {
	s.app = s.openSession("mysql1")
	id := s.write(s.app, "hello")
	s.mysql1.WaitReplicated(s.mysql2, patience)
	found := s.mysql2.Query("SELECT note FROM app.notes WHERE id = ?", id)
	return is("a row written on mysql1 is read on mysql2", found == "hello", fmt.Sprintf("id %d: %s", id, found))
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
	s.mysql2.Wait(patience)
	s.write(s.app, "written while mysql2 was away")
	s.story.now("client", "%s", queries(all))
	s.story.now("lvs-master", "ipvsadm -Ln -t "+mysqlPort)
	s.story.block(s.service())
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
	s.story.now("client", "%s", queries(all))
	return []expectation{
		outage(all, 750*time.Millisecond, "(nobody was to notice)"),
		within("mysql2 back in the table after", ready, back, rise*checkEvery+checkTimeout, "= rise × interval + timeout"),
		none("logins that failed meanwhile", all, ready),
		is("it has the row written while it was away", missed == "1", missed+" row"),
	}
}

// The client's view of a director's death: the silence that lvs-backup bears, counted from the last advert; and of its
// farewell: the skew. The slack is for the take-over itself, two steps of the client's own, and a slow guest.
const (
	slack          = 150 * time.Millisecond
	silence        = masterDown + slack
	silenceBecause = "= 3 adverts + skew + 0.15 s"
)

// cutCable takes the carrier of the master director away.
func (s *show) cutCable() []expectation {
	from := time.Now()
	s.story.now("lab", "pulls the cable of lvs-master")
	s.master.Link("eth0").CarrierDown()
	s.awaitTakeOver()
	pulse := s.tell(from)
	return []expectation{outage(pulse, silence, silenceBecause), s.holder(s.backup)}
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
	s.story.now("lvs-master", "systemctl stop lvs-director")
	code := s.master.daemon.Stop()
	s.awaitTakeOver()
	pulse := s.tell(from)
	left := s.master.table()
	clean := code == 0 && len(left.Services) == 0 && !s.master.hasVIP()
	return []expectation{
		outage(pulse, skewBackup+slack, "= skew + 0.15 s"),
		s.holder(s.backup),
		is("exit code 0, no VIP and no table left behind", clean, yes(clean)),
	}
}

// startDirector is V6: the director returns, and its priority takes the VIP back.
func (s *show) startDirector() []expectation {
	from := time.Now()
	s.story.now("lvs-master", "systemctl start lvs-director")
	s.master.start()
	return s.comeBack(from)
}

// killDirector leaves nobody on lvs-master who could clean up.
func (s *show) killDirector() []expectation {
	from := time.Now()
	s.story.now("lvs-master", "kill -9 of lvs-director: nobody is left there to remove the VIP")
	s.master.daemon.Kill()
	if s.master.hasVIP() && s.master.balances(s.rs1) {
		s.story.now(s.master.Name, "its kernel still has the VIP and the table, and goes on forwarding")
	}
	s.awaitTakeOver()
	gone := s.eventually(patience, "the VIP has left lvs-master", func() bool { return !s.master.hasVIP() })
	s.story.at(gone, s.master.Name, "the kernel takes the VIP away: its lease has run out")
	pulse := s.tell(from)
	return []expectation{
		outage(pulse, silence, silenceBecause),
		within("the VIP gone from lvs-master, no daemon there", from, gone, lease+1500*time.Millisecond, "= lease + 1.5 s"),
		s.holder(s.backup),
	}
}

// awaitTakeOver waits until lvs-backup serves.
func (s *show) awaitTakeOver() {
	s.eventually(patience, "lvs-backup has the VIP", s.backup.hasVIP)
	s.pulse.WaitAnswered("", patience)
	s.mysql.WaitAnswered("", patience)
}

// tell prints who is MASTER and why, and what the MySQL client saw; it returns what the denser one did.
func (s *show) tell(from time.Time) measure.Result {
	pulse, mysql := s.since(s.pulse, from), s.since(s.mysql, from)
	s.narrator.tell()
	for _, n := range []*node{s.master, s.backup} {
		if n.daemon.Running() {
			s.story.now(n.Name, "status: %s", n.reason())
		}
	}
	s.story.now("client", "%s", queries(mysql))
	return pulse
}

// comeBack waits until lvs-master is MASTER again, and judges what the client noticed of it.
func (s *show) comeBack(from time.Time) []expectation {
	s.eventually(patience, "lvs-master has the VIP again", s.master.hasVIP)
	s.eventually(patience, "lvs-backup has given the VIP up", func() bool { return !s.backup.hasVIP() })
	full := s.master.balances(s.rs1) && s.master.balances(s.rs2)
	pulse := s.tell(from)
	return []expectation{
		outage(pulse, 200*time.Millisecond, "(a hand-over)"),
		is("the table was full when it took the VIP", full, yes(full)),
		s.holder(s.master),
	}
}

func (s *show) holder(n *node) expectation {
	holders := s.holders()
	return expectation{what: "the VIP is held by", saw: holders, want: n.Name + " alone", held: holders == n.Name}
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
