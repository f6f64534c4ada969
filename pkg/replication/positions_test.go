package replication

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A row of MySQL 5.7 as in the field, and the same with the words of MySQL 8.4.
func oldRow() map[string]string {
	return map[string]string{
		"Slave_IO_State": "Waiting for master to send event", "Master_Host": "100.30.60.35", "Master_Port": "3306", "Master_Log_File": "mysql-bin.000003",
		"Read_Master_Log_Pos": "27317", "Relay_Master_Log_File": "mysql-bin.000002", "Slave_IO_Running": "Yes", "Slave_SQL_Running": "Yes",
		"Exec_Master_Log_Pos": "242734527", "Seconds_Behind_Master": "62570", "Retrieved_Gtid_Set": uuidA + ":1-1262",
		"Executed_Gtid_Set": uuidB + ":1-1275,\n" + uuidA + ":1-3:5-1248",
	}
}

func newRow() map[string]string {
	words := strings.NewReplacer("Master", "Source", "Slave", "Replica")
	row := map[string]string{}
	for name, text := range oldRow() {
		row[words.Replace(name)] = text
	}
	return row
}

func TestSourceOf(t *testing.T) {
	behind := 62570
	want := Source{
		Host: "100.30.60.35", Port: 3306, Receiving: "Yes", Applying: "Yes", Behind: &behind,
		Received: LogPosition{"mysql-bin.000003", 27317}, Applied: LogPosition{"mysql-bin.000002", 242734527},
		ReceivedGTIDs: uuidA + ":1-1262", AppliedGTIDs: uuidB + ":1-1275," + uuidA + ":1-3:5-1248",
	}
	for name, row := range map[string]map[string]string{"MySQL 5.7": oldRow(), "MySQL 8.4": newRow()} {
		if diff := cmp.Diff(want, SourceOf(row)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	mariadb := SourceOf(map[string]string{
		"Connection_name": "peer", "Master_Host": "b", "Master_Port": "3307", "Gtid_IO_Pos": "0-1-7", "Gtid_Slave_Pos": "0-1-6",
		"Slave_IO_Running": "Connecting", "Slave_SQL_Running": "No", "Last_SQL_Error": "", "Last_IO_Error": "error connecting",
	})
	want = Source{Channel: "peer", Host: "b", Port: 3307, Receiving: "Connecting", Applying: "No", ReceivedGTIDs: "0-1-7", AppliedGTIDs: "0-1-6", Error: "error connecting"}
	if diff := cmp.Diff(want, mariadb); diff != "" {
		t.Error(diff)
	}
}

func TestProgress(t *testing.T) {
	at := func(file string, offset uint64) LogPosition { return LogPosition{file, offset} }
	for name, c := range map[string]struct {
		s    Source
		want Progress
	}{
		"nothing was ever received":                 {Source{Applying: "Yes"}, Done},
		"applied":                                   {Source{Received: at("b.2", 50), Applied: at("b.2", 50), Applying: "Yes"}, Done},
		"applied, then stopped":                     {Source{Received: at("b.2", 50), Applied: at("b.2", 50), Applying: "No"}, Done},
		"behind in the same file":                   {Source{Received: at("b.2", 50), Applied: at("b.2", 49), Applying: "Yes"}, Pending},
		"a later place in an earlier file":          {Source{Received: at("b.3", 50), Applied: at("b.2", 900), Applying: "Yes"}, Pending},
		"behind and stopped":                        {Source{Received: at("b.2", 50), Applied: at("b.2", 49), Applying: "No"}, Stuck},
		"half a transaction, by MySQL's GTIDs":      {Source{Received: at("b.2", 50), Applied: at("b.2", 40), Applying: "Yes", ReceivedGTIDs: uuidA + ":1-4", AppliedGTIDs: uuidA + ":1-4"}, Done},
		"a channel without a place, behind":         {Source{Channel: "group_replication_applier", Applying: "Yes", ReceivedGTIDs: uuidA + ":1-4", AppliedGTIDs: uuidA + ":1-2"}, Pending},
		"a channel without a place, applied":        {Source{Channel: "group_replication_applier", Applying: "Yes", ReceivedGTIDs: uuidA + ":1-4", AppliedGTIDs: uuidA + ":1-4"}, Done},
		"a gap in MySQL's GTIDs":                    {Source{Received: at("b.2", 50), Applied: at("b.2", 40), Applying: "Yes", ReceivedGTIDs: uuidA + ":1-4", AppliedGTIDs: uuidA + ":1-2:4"}, Pending},
		"MariaDB's GTIDs":                           {Source{Received: at("b.2", 50), Applied: at("b.2", 40), Applying: "Yes", ReceivedGTIDs: "0-1-9", AppliedGTIDs: "0-1-9,1-1-1"}, Done},
		"MariaDB's GTIDs, behind":                   {Source{Received: at("b.2", 50), Applied: at("b.2", 40), Applying: "Yes", ReceivedGTIDs: "0-1-9", AppliedGTIDs: "0-1-8"}, Pending},
		"GTIDs that are no GTIDs prove nothing":     {Source{Received: at("b.2", 50), Applied: at("b.2", 40), Applying: "Yes", ReceivedGTIDs: "?", AppliedGTIDs: "?"}, Pending},
		"received GTIDs of MySQL, none are applied": {Source{Received: at("b.2", 50), Applied: at("b.2", 40), Applying: "Yes", ReceivedGTIDs: uuidA + ":1"}, Pending},
	} {
		if got, text := c.s.Progress(); got != c.want || text == "" {
			t.Errorf("%s: %d, %q", name, got, text)
		}
	}
	behind, stuck := Source{Received: at("b.2", 2), Applying: "Yes"}, Source{Received: at("b.2", 2), Applying: "No", Error: "Duplicate entry"}
	if got, _ := (Positions{}).Progress(); got != Done {
		t.Error("a server without replication has something to wait for")
	}
	if got, _ := (Positions{Sources: []Source{{}, behind, {}}}).Progress(); got != Pending {
		t.Error("one source that is behind is not noticed")
	}
	if got, text := (Positions{Sources: []Source{behind, stuck, {}}}).Progress(); got != Stuck || !strings.Contains(text, "Duplicate entry") {
		t.Errorf("one source that is stuck is not noticed: %s", text)
	}
}
