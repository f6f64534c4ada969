package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/mariadb"
	"github.com/lvs-director/lvs-director/pkg/problem"
)

// takeOverRecord is a line of the file with the records.
type takeOverRecord struct {
	Time     time.Time `json:"time"`
	Node     string    `json:"node"`
	Instance string    `json:"instance"`
	Read     string    `json:"read"`
	ReadAt   time.Time `json:"read_at"`
	Error    string    `json:"error"`

	Positions struct {
		BinaryLog struct {
			File     string `json:"file"`
			Position uint64 `json:"position"`
		} `json:"binary_log"`
		GTIDs   string `json:"gtids"`
		Sources []struct {
			Host     string `json:"host"`
			Received struct {
				File     string `json:"file"`
				Position uint64 `json:"position"`
			} `json:"received"`
			Applied struct {
				Position uint64 `json:"position"`
			} `json:"applied"`
		} `json:"sources"`
	} `json:"positions"`
}

// lastRecord waits for the nth record of a node, and returns it.
func lastRecord(t *testing.T, n *node, nth int) (r takeOverRecord) {
	t.Helper()
	lab.Eventually(t, soon, func() error {
		out, err := n.Try("cat", n.Path("state")+"/take-overs.jsonl")
		lines := strings.Split(strings.TrimSpace(out), "\n")
		if err != nil || len(lines) < nth {
			return fmt.Errorf("%s has no record %d: %s", n.Name, nth, out)
		}
		return json.Unmarshal([]byte(lines[nth-1]), &r)
	})
	return r
}

// TestSeed004Record: scenario 004-5b. When the node with the VIP dies, the other one writes down where its database was,
// in its own binary log and in that of the dead one: what had arrived and what had been applied. If the database hangs at
// that moment, the take-over does not wait for it, and the record has the last positions and their age.
//
// Proves docs/failover.md: "The VIP waits for none of this."
func TestSeed004Record(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.MariaDB)
	lab.Long(t)
	t.Run("004-5b the record of a take-over", seed004Record)
}

func seed004Record(t *testing.T) {
	s := newSeed000(t, "    take_over_record: local-mysql\n")
	s.a.start()
	s.awaitHolder(t, s.a, soon)
	s.b.start()
	s.awaitState(t, s.b, "BACKUP")
	for _, n := range []*node{s.a, s.b} { // the account may not see the positions: a problem before they are needed
		awaitCode(t, n, "positions_unread", true)
	}
	s.one.Exec("GRANT BINLOG MONITOR, SLAVE MONITOR ON *.* TO '" + mariadb.CheckUser + "'@'%'") // which is replicated
	for _, n := range []*node{s.a, s.b} {
		awaitCode(t, n, "positions_unread", false)
	}
	t.Run("fresh", s.freshRecord)
	t.Run("held", s.heldRecord)
}

// newSeed000 returns two nodes with more keys of their instance, and with checks that need ten seconds to fail, so that a database
// that hangs is no reason for FAULT.
func newSeed000(t *testing.T, more string) *seed000 {
	n := lab.New(t)
	lan := n.Bridge("lan")
	file := fmt.Sprintf(seed000File, n.File("check.password", mariadb.CheckPassword))
	file = strings.Replace(file, "    preempt: false\n", "    preempt: false\n"+more, 1)
	file = n.File("cluster.yaml", strings.Replace(file, "fall: 2", "fall: 20", 1))
	s := &seed000{t: t, net: n, client: n.Host("client", lan.At("10.77.0.50/24"))}
	s.a = newNode(t, n.Host("mysql1", lan.At("10.77.0.11/24")), "lvs-director", file)
	s.b = newNode(t, n.Host("mysql2", lan.At("10.77.0.12/24")), "lvs-director", file)
	s.one, s.two = mariadb.StartPair(s.a.Host, s.b.Host, mariadb.Options{})
	return s
}

// freshRecord: the dead node has written what the other one has received, but not applied.
func (s *seed000) freshRecord(t *testing.T) {
	s.two.Exec("STOP SLAVE SQL_THREAD")
	s.one.Exec("CREATE TABLE app.record (i INT)")
	position := ""
	lab.Eventually(t, soon, func() error {
		position = fields(s.one, "SHOW MASTER STATUS")["Position"]
		if got := fields(s.two, "SHOW SLAVE STATUS")["Read_Master_Log_Pos"]; got != position {
			return fmt.Errorf("mysql2 has received up to %s, mysql1 has written up to %s", got, position)
		}
		return nil
	})
	s.a.daemon.Kill()
	s.one.Kill()
	s.awaitState(t, s.b, "MASTER")
	r, own, of := lastRecord(t, s.b, 1), fields(s.two, "SHOW MASTER STATUS"), fields(s.two, "SHOW SLAVE STATUS")
	if r.Read != "fresh" || r.Node != "mysql2" || r.Instance != "mysql" || len(r.Positions.Sources) != 1 || r.Positions.GTIDs != s.two.Query("SELECT @@gtid_current_pos") {
		t.Fatalf("the record is %+v", r)
	}
	source := r.Positions.Sources[0]
	for what, c := range map[string]struct{ got, want string }{
		"its own file":     {r.Positions.BinaryLog.File, own["File"]},
		"its own position": {fmt.Sprint(r.Positions.BinaryLog.Position), own["Position"]},
		"received":         {fmt.Sprint(source.Received.Position), position},
		"applied":          {fmt.Sprint(source.Applied.Position), of["Exec_Master_Log_Pos"]},
		"the source":       {source.Host, "10.77.0.11"},
	} {
		if c.got != c.want {
			t.Errorf("%s: the record says %s, the server %s", what, c.got, c.want)
		}
	}
	if source.Applied.Position >= source.Received.Position {
		t.Errorf("nothing was left to apply: %+v", source)
	}
}

// heldRecord: the database of the node that takes over hangs.
func (s *seed000) heldRecord(t *testing.T) {
	s.one.Start()
	s.a.start()
	s.awaitState(t, s.a, "BACKUP")
	lab.Eventually(t, soon, func() error { // it has been asked for its positions
		if d := s.a.status().ProblemDetails; len(d) > 0 {
			return fmt.Errorf("%v", d)
		}
		return nil
	})
	before := fields(s.one, "SHOW MASTER STATUS")["Position"]
	time.Sleep(time.Second) // the interval of the check: now it has been asked for this position
	watch := s.a.watchVIP()
	s.one.Pause()
	defer s.one.Resume()
	killed := time.Now()
	s.b.daemon.Kill()
	if took, most := watch.awaitPeriodSince(killed).from.Sub(killed), 4*seed000Advert+takeoverAllowance; took > most {
		t.Errorf("the take-over took %v, want at most %v: it waited for the database", took, most)
	}
	r := lastRecord(t, s.a, 2)
	if r.Read != "held" || fmt.Sprint(r.Positions.BinaryLog.Position) != before || r.Error == "" || r.ReadAt.After(r.Time) {
		t.Errorf("the record is %+v, want the position %s from before the take-over", r, before)
	}
	if out, err := s.a.ctl("status"); err != nil && !strings.Contains(out, "held") || !strings.Contains(out, "TAKE-OVER RECORD") {
		t.Errorf("lvsctl status does not show it: %v\n%s", err, out)
	}
}

// TestSeed004RelayLog: scenario 004-6. The database of the node that takes over has received something and not applied it yet:
// with before_vip the VIP comes when it has, and not before; status says why it is not there. If the applying thread has
// stopped, the instance is in FAULT, and takes the VIP by itself when the thread runs again.
//
// Proves docs/failover.md: "a director that has become MASTER adds the VIPs only when its database has applied everything"
func TestSeed004RelayLog(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.MariaDB)
	lab.Long(t)
	s := newSeed000(t, "    take_over_record: local-mysql\n    before_vip: {wait_for: relay_log, timeout: 30s, on_timeout: fault}\n")
	s.one.Exec("GRANT BINLOG MONITOR, SLAVE MONITOR ON *.* TO '" + mariadb.CheckUser + "'@'%'")
	s.a.start()
	s.awaitHolder(t, s.a, soon)
	s.b.start()
	s.awaitState(t, s.b, "BACKUP")
	healthy(t, s.a, s.b)

	for _, statement := range []string{"STOP SLAVE", "CHANGE MASTER TO MASTER_DELAY=6", "START SLAVE"} {
		s.two.Exec(statement)
	}
	s.one.Exec("CREATE TABLE app.relayed (i INT)")
	lab.Eventually(t, soon, func() error {
		written, received := fields(s.one, "SHOW MASTER STATUS")["Position"], fields(s.two, "SHOW SLAVE STATUS")["Read_Master_Log_Pos"]
		if written != received {
			return fmt.Errorf("mysql2 has received up to %s, mysql1 has written up to %s", received, written)
		}
		return nil
	})
	mark := s.b.daemon.Mark()
	s.a.daemon.Kill()
	s.one.Kill()
	s.awaitState(t, s.b, "MASTER")
	awaitCode(t, s.b, "vips_wait", true)
	if s.b.holds() {
		t.Error("mysql2 has the VIP before its database has applied everything")
	}
	lab.Eventually(t, soon, func() error {
		if !s.b.holds() {
			return fmt.Errorf("mysql2 has no VIP yet")
		}
		return nil
	})
	if got := s.two.Query("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_NAME = 'relayed'"); got != "1" {
		t.Errorf("the VIP is there, and the database has %s of the table", got)
	}
	t.Log(mark.WaitLog("the relay log is applied; adding the VIPs", soon).Text)
	awaitCode(t, s.b, "vips_wait", false)

	s.relayLogStuck(t)
}

// relayLogStuck: mysql1 returns, and is to take over with something in its relay log that nobody applies.
func (s *seed000) relayLogStuck(t *testing.T) {
	s.one.Start()
	lab.Eventually(t, soon, s.one.Replicating)
	s.a.start()
	s.awaitState(t, s.a, "BACKUP")
	s.one.Exec("STOP SLAVE SQL_THREAD")
	s.two.Exec("CREATE TABLE app.stuck (i INT)")
	lab.Eventually(t, soon, func() error {
		written, received := fields(s.two, "SHOW MASTER STATUS")["Position"], fields(s.one, "SHOW SLAVE STATUS")["Read_Master_Log_Pos"]
		if written != received {
			return fmt.Errorf("mysql1 has received up to %s, mysql2 has written up to %s", received, written)
		}
		return nil
	})
	mark := s.a.daemon.Mark()
	s.b.daemon.Kill()
	mark.WaitLog("to=FAULT .*the relay log is not applied: .*the applying thread has stopped", soon)
	if s.a.holds() {
		t.Error("mysql1 has the VIP, and its database has not applied everything")
	}
	s.one.Exec("START SLAVE SQL_THREAD")
	s.awaitHolder(t, s.a, soon)
}

// awaitCode waits until a node reports a problem, or does not.
func awaitCode(t *testing.T, n *node, code string, want bool) {
	t.Helper()
	lab.Eventually(t, soon, func() error {
		all := n.status().ProblemDetails
		if has := slices.ContainsFunc(all, func(p problem.Problem) bool { return string(p.Code) == code }); has != want {
			return fmt.Errorf("%s reports %+v, want %s: %v", n.Name, all, code, want)
		}
		return nil
	})
}

// fields are the fields of the only row of a statement.
func fields(m *mariadb.Server, statement string) map[string]string {
	all := map[string]string{}
	for _, row := range m.Rows(statement) {
		for _, f := range row {
			all[f.Name] = f.Value
		}
	}
	return all
}
