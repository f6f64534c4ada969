package migration_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
	"pgregory.net/rapid"

	"github.com/lvs-director/lvs-director/pkg/migration"
)

// Whatever lines of configurations are put together, each has one verdict with its reason, the result is a cluster file,
// and a second import gives the same.
func TestEveryLineHasAVerdict(t *testing.T) {
	lines := []string{"}", "{", "}", "", "@a x", "@^a priority 7", "$X=5", "priority $X", "~SEQ(N,1,3) x$N", "\"", "include x"}
	files, err := filepath.Glob("testdata/*/*.[cr]*")
	if err != nil || len(files) < 20 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, strings.Split(string(data), "\n")...)
	}
	rapid.Check(t, func(t *rapid.T) {
		var in strings.Builder
		for range rapid.IntRange(0, 12).Draw(t, "pieces") {
			from := rapid.IntRange(0, len(lines)-1).Draw(t, "from")
			to := min(len(lines), from+rapid.IntRange(1, 20).Draw(t, "lines"))
			for _, line := range lines[from:to] {
				if rapid.IntRange(0, 9).Draw(t, "shorter") == 0 {
					line = line[:rapid.IntRange(0, len(line)).Draw(t, "length")]
				}
				in.WriteString(line + "\n")
			}
		}
		check(t, in.String(), rapid.SampledFrom([]string{"a.conf", "a.cf", "a.rules"}).Draw(t, "name"))
	})
}

func check(t *rapid.T, in, name string) {
	var texts []string
	for range 2 {
		var sources []migration.Source
		for _, node := range []string{"a", "b"} {
			sources = append(sources, migration.Source{Node: node, Files: []migration.File{parsed(node, name, []byte(in))}})
		}
		r := migration.Import(sources, migration.Options{SecretsDir: "/etc/lvs-director"})
		accounted(t, sources, r)
		var root map[string]any
		if err := yaml.Unmarshal(r.YAML, &root); err != nil || root["version"] != 1 {
			t.Errorf("no YAML: %v\n%s", err, r.YAML)
		}
		text := string(r.YAML) + strings.Join(r.Unknown, "\n")
		for _, l := range r.Lines {
			text += l.String() + "\n"
		}
		texts = append(texts, text)
	}
	if texts[0] != texts[1] {
		t.Errorf("two results:\n%s\n%s", texts[0], texts[1])
	}
}
