package director

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/problem/problemtest"
	"github.com/lvs-director/lvs-director/pkg/replication"
)

// takingOver is a file with an instance whose take-overs are recorded.
const takingOver = electing +
	"  - {name: a, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [10.77.0.100], take_over_record: db}\n" +
	"tracks:\n  - {name: db, address: 10.77.0.1, type: mysql, port: 3306, interval: 1s, user: lvs}\n"

// database makes the database answer this.
func (k *fakeKernel) database(p replication.Positions, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.positions, k.positionsError = p, err
}

// TestTakeOverRecord: a director that becomes MASTER writes the record to its state directory, the events and the status.
func TestTakeOverRecord(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.database(replication.Positions{BinaryLog: &replication.LogPosition{File: "binlog.000007", Offset: 4711}}, nil)
		o := m.options(takingOver)
		m.runs(o)
		m.pass(2 * time.Second)
		got := m.Status().Instances[0].TakeOver
		if got == nil || got.Read != "fresh" || got.Server != "10.77.0.1:3306" || got.Positions.BinaryLog.Offset != 4711 {
			t.Errorf("status: %+v", got)
		}
		data, err := os.ReadFile(filepath.Join(o.StateDir, takeOverFile))
		if err != nil || !strings.Contains(string(data), `"binary_log":{"file":"binlog.000007","position":4711}`) {
			t.Errorf("the file has %s, %v", data, err)
		}
		if all := strings.Join(m.happened(), "\n"); !strings.Contains(all, "take_over_recorded a: -> fresh") {
			t.Errorf("events:\n%s", all)
		}
	})
}

// replica are the positions of a database that has received 100 bytes and applied some of them.
func replica(applied uint64) replication.Positions {
	s := replication.Source{Host: "b", Port: 3306, Applying: "Yes"}
	s.Received, s.Applied = replication.LogPosition{File: "b.1", Offset: 100}, replication.LogPosition{File: "b.1", Offset: applied}
	return replication.Positions{Sources: []replication.Source{s}}
}

// TestBeforeVIP: the VIP of a MASTER waits for the relay log, or the instance is in FAULT until it is applied.
func TestBeforeVIP(t *testing.T) {
	for policy, states := range map[string][2]string{"take": {"MASTER", "MASTER"}, "fault": {"FAULT", "MASTER"}} {
		world(t, func(t *testing.T, m *machine) {
			m.database(replica(0), nil)
			m.begin(strings.Replace(takingOver, "take_over_record: db", "take_over_record: db, before_vip: {wait_for: relay_log, timeout: 2s, on_timeout: "+policy+"}", 1))
			m.pass(time.Second)
			if got := m.state("a"); got != "MASTER" || m.has("eth0", vip) {
				t.Errorf("%s: before the time is up it is %s, with the VIP: %t", policy, got, m.has("eth0", vip))
			}
			m.pass(2 * time.Second)
			if got := m.state("a"); got != states[0] || m.has("eth0", vip) != (policy == "take") {
				t.Errorf("%s: when the time is up it is %s, with the VIP: %t", policy, got, m.has("eth0", vip))
			}
			m.database(replica(100), nil)
			m.pass(3 * time.Second)
			if got := m.state("a"); got != states[1] || !m.has("eth0", vip) {
				t.Errorf("%s: with the relay log applied it is %s, with the VIP: %t", policy, got, m.has("eth0", vip))
			}
		})
	}
}

func takeOverCases() []codesCase {
	waiting := strings.Replace(takingOver, "take_over_record: db", "take_over_record: db, before_vip: {wait_for: relay_log, timeout: 1m}", 1)
	return []codesCase{{File: waiting, On: "MASTER", Case: problemtest.Case[*node]{
		Code: problem.VIPsWait, Subject: "a", Fault: "the relay log is not applied",
		Break: func(n *node) {
			n.database(replica(0), nil)
			n.carrier(false)
			n.pass(100 * time.Millisecond)
			n.carrier(true)
		},
		Mend: func(n *node) { n.database(replica(100), nil) },
	}}, {File: takingOver, Case: problemtest.Case[*node]{
		Code: problem.PositionsUnread, Subject: "a", Fault: "the database does not answer",
		Break: func(n *node) { n.database(replication.Positions{}, errors.New("connection refused")) },
		Mend:  func(n *node) { n.database(replication.Positions{}, nil) },
	}}}
}
