package takeover

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/pkg/replication"
)

func TestAppend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "take-overs.jsonl")
	at := time.Date(2026, 11, 29, 12, 0, 0, 5e6, time.UTC)
	made := Record{Time: at, Node: "a", Instance: "mysql", Server: "127.0.0.1:3306", Read: Fresh, ReadAt: at, Positions: &replication.Positions{GTIDs: "0-1-7"}}
	if err := os.WriteFile(path, []byte("what somebody else wrote"), 0o640); err != nil {
		t.Fatal(err)
	}
	for n := range keep - 1 {
		made.Reason = string(rune('a' + n%26))
		if err := Append(path, made); err != nil {
			t.Fatal(err)
		}
	}
	lines := func() [][]byte {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Split(bytes.TrimSpace(data), []byte("\n"))
	}
	if all := lines(); len(all) != keep || string(all[0]) != "what somebody else wrote" {
		t.Errorf("%d lines, the first %q", len(all), all[0])
	}
	made.Reason = "the last"
	if err := Append(path, made); err != nil {
		t.Fatal(err)
	}
	all := lines()
	var got Record
	if err := json.Unmarshal(all[len(all)-1], &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(made, got); diff != "" || len(all) != keep || string(all[0]) == "what somebody else wrote" {
		t.Errorf("%d lines; %s", len(all), diff)
	}
	if err := Append(filepath.Join(t.TempDir(), "absent", "x"), made); err == nil {
		t.Error("a directory that is absent is no error")
	}
}
