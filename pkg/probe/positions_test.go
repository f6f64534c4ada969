package probe

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/replication"
)

func (s *realServer) positions(t *testing.T) (replication.Positions, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return Positions(ctx, &Target{Address: s.address, User: user, Password: password})
}

// TestPositions asks a real server: an account without a privilege, with it, with a binary log, and as a replica.
func TestPositions(t *testing.T) {
	s := mariadb(t, "--log-bin=binlog", "--server-id=7")
	p, err := s.positions(t)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Unread) != 2 || !strings.Contains(p.Unread[0], "binary log") || !strings.Contains(p.Unread[1], "replication") ||
		!strings.Contains(p.Unread[1], "GRANT BINLOG MONITOR, SLAVE MONITOR") {
		t.Errorf("without the privilege: %q", p.Unread)
	}
	s.sql(t, "GRANT BINLOG MONITOR, SLAVE MONITOR ON *.* TO '"+user+"'@'10.77.0.%'")
	s.sql(t, "CREATE DATABASE x; CREATE TABLE x.t (i INT); INSERT INTO x.t VALUES (1)")
	if p, err = s.positions(t); err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(s.sql(t, "SHOW MASTER STATUS"))
	if p.BinaryLog == nil || len(words) < 2 || words[0] != p.BinaryLog.File || words[1] != strings.Split(p.BinaryLog.String(), ":")[1] {
		t.Errorf("the binary log is at %v, the server says %q", p.BinaryLog, words)
	}
	if gtids := s.sql(t, "SELECT @@gtid_current_pos"); p.GTIDs == "" || p.GTIDs != gtids {
		t.Errorf("GTIDs %q, the server says %q", p.GTIDs, gtids)
	}
	if p.ServerID != 7 || !strings.Contains(p.Version, "MariaDB") || p.ReadOnly || len(p.Sources) != 0 || len(p.Unread) != 0 {
		t.Errorf("%+v", p)
	}
	s.sql(t, "SET GLOBAL read_only = 1; CHANGE MASTER 'peer' TO MASTER_HOST='10.77.0.99', MASTER_PORT=3310, MASTER_USER='x', MASTER_PASSWORD='y', MASTER_USE_GTID=slave_pos")
	if p, err = s.positions(t); err != nil {
		t.Fatal(err)
	}
	if len(p.Sources) != 1 || p.Sources[0].Channel != "peer" || p.Sources[0].Host != "10.77.0.99" || p.Sources[0].Port != 3310 || p.Sources[0].Applying != "No" || !p.ReadOnly {
		t.Errorf("as a replica: %+v", p)
	}
	if traces := s.traces(t); strings.Contains(traces, "Aborted_clients\t1") {
		t.Errorf("the questions left a trace: %s", traces)
	}
}
