package migration_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/migration"
)

// A line that is translated without a word about it is in the cluster file: without the line the file is another one. The
// exceptions are values that are the default, or that other lines overrule; redundant.txt lists them, and each was looked at.
func TestNothingIsSkippedInSilence(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.[cr]*")
	if err != nil || len(files) < 50 {
		t.Fatal(files, err)
	}
	var redundant strings.Builder
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
		whole := alone(file, lines)
		for i, l := range whole.Lines {
			text := strings.TrimSpace(l.Text)
			if l.Verdict != migration.Translated || l.Reason != "" || strings.ContainsAny(text, "{}") || text[0] == '$' || strings.HasSuffix(text, `\`) {
				continue
			}
			without := alone(file, slices.Delete(slices.Clone(lines), i, i+1))
			if string(without.YAML) == string(whole.YAML) && len(without.Secrets) == len(whole.Secrets) && without.Refused() == whole.Refused() {
				redundant.WriteString(l.String() + "\n")
			}
		}
	}
	golden(t, "testdata/redundant.txt", redundant.String())
}

// alone imports a file as the only one of a director.
func alone(file string, lines []string) migration.Result {
	f := parsed("lvs1", filepath.Base(file), []byte(strings.Join(lines, "\n")))
	return migration.Import([]migration.Source{{Node: "lvs1", Files: []migration.File{f}}}, migration.Options{
		SecretsDir: "/etc/lvs-director", Addresses: map[string]string{"lvs1": "10.77.0.2"},
	})
}
