package migration_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/migration"
)

// The kind of each file of the examples is found; files of no kind, or of two, are an error that says why.
func TestKindOf(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.[cr]*")
	if err != nil || len(files) < 20 {
		t.Fatal(files, err)
	}
	want := map[string]migration.Kind{".conf": migration.Keepalived, ".cf": migration.Ldirectord, ".rules": migration.IPVSAdm}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if kind, err := migration.KindOf(data); err != nil || kind != want[filepath.Ext(file)] {
			t.Errorf("%s: %v, %v", file, kind, err)
		}
	}
	long := "# " + strings.Repeat("x", 70_000) + "\nvirtual=10.77.0.1:80\n"
	if kind, err := migration.KindOf([]byte(long)); err != nil || kind != migration.Ldirectord {
		t.Errorf("behind a long line: %v, %v", kind, err)
	}
	for in, message := range map[string]string{
		"":                         "no line of it is one of keepalived, ldirectord, ipvsadm",
		"\x00\xff":                 "no line of it is one of",
		"# virtual=1\n":            "no line of it is one of",
		"version: 1\ndirectors:\n": "no line of it is one of",
		"virtual=10.77.0.1:80\n-A -t 10.77.0.1:80 -s rr\n": "it has lines of ldirectord (1 lines) and ipvsadm (1 lines)",
	} {
		if kind, err := migration.KindOf([]byte(in)); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%q: %v, %v, want %q", in, kind, err, message)
		}
	}
}

// Names of kinds are read and printed alike.
func TestParseKind(t *testing.T) {
	for _, name := range migration.Kinds() {
		if kind, err := migration.ParseKind(name); err != nil || kind.String() != name {
			t.Errorf("%s: %v, %v", name, kind, err)
		}
	}
	if _, err := migration.ParseKind("heartbeat"); err == nil {
		t.Error("heartbeat is a kind")
	}
}
