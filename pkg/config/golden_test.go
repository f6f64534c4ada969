package config_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lvs-director/lvs-director/pkg/config"
)

var update = flag.Bool("update", false, "rewrite the expected results under testdata")

// Each file in testdata/bad has one mistake (except many.yaml); its .want file has the exact problems.
func TestBadFiles(t *testing.T) {
	files := yamlFiles(t, "bad")
	if len(files) < 60 {
		t.Fatalf("only %d files in testdata/bad", len(files))
	}
	for _, file := range files {
		t.Run(baseName(file), func(t *testing.T) {
			data := read(t, file)
			c, problems := config.Parse("cluster.yaml", data)
			if c != nil || !problems.Failed() {
				t.Errorf("the file was accepted, with problems:\n%s", problems)
			}
			if problems.Err() == nil {
				t.Error("Err() is nil")
			}
			checkPositions(t, data, problems)
			golden(t, strings.TrimSuffix(file, ".yaml")+".want", problems.String())
		})
	}
}

// The files in testdata/warn are valid, with warnings.
func TestWarnings(t *testing.T) {
	for _, file := range yamlFiles(t, "warn") {
		t.Run(baseName(file), func(t *testing.T) {
			data := read(t, file)
			c, problems := config.Parse("cluster.yaml", data)
			if c == nil || problems.Failed() || problems.Err() != nil {
				t.Errorf("the file was refused:\n%s", problems)
			}
			if len(problems) == 0 {
				t.Error("no warning")
			}
			checkPositions(t, data, problems)
			golden(t, strings.TrimSuffix(file, ".yaml")+".want", problems.String())
		})
	}
}

// The files in testdata/good are valid; the .want files have the summary and the Config with all defaults.
func TestGoodFiles(t *testing.T) {
	for _, file := range yamlFiles(t, "good") {
		t.Run(baseName(file), func(t *testing.T) {
			c, problems := config.Parse("cluster.yaml", read(t, file))
			if c == nil || len(problems) != 0 {
				t.Fatalf("problems:\n%s", problems)
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".want", c.Summary()+"\n"+values(t, c)+kindsOf(c))
		})
	}
}

// zero matches a line of JSON for a field with its zero value.
var zero = regexp.MustCompile(`(?m)^ *"\w+": (null|false|0|""),?\n`)

// values returns a Config as JSON without zero fields.
func values(t *testing.T, c *config.Config) string {
	t.Helper()
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return zero.ReplaceAllString(string(text)+"\n", "")
}

// kindsOf lists the kinds of checks, which the JSON does not contain.
func kindsOf(c *config.Config) string {
	var b strings.Builder
	for _, s := range c.VirtualServers {
		for _, rs := range s.RealServers {
			fmt.Fprintf(&b, "%s/%s:", s.Name, rs.Name)
			for _, check := range rs.Checks {
				fmt.Fprintf(&b, " %s", check.Kind.Type())
			}
			b.WriteString("\n")
		}
	}
	for _, t := range c.Tracks {
		fmt.Fprintf(&b, "track %s: %s\n", t.Name, t.Type())
	}
	return b.String()
}

// Encoding details of a file (BOM, line ends, comments) do not change its content.
func TestSameContents(t *testing.T) {
	want, _ := config.Parse("x", read(t, "testdata/good/minimal.yaml"))
	for _, name := range []string{"crlf", "bom", "chinese-comments", "yaml12"} {
		got, _ := config.Parse("x", read(t, "testdata/good/"+name+".yaml"))
		if got.Digest == want.Digest {
			t.Errorf("%s: has the digest of minimal.yaml: the digest is one of bytes", name)
		}
		got.Digest = want.Digest
		anywhere := cmpopts.IgnoreTypes(config.Position{}) // comments change positions
		if diff := cmp.Diff(want, got, cmp.Comparer(sameText[netipAddr]), cmp.Comparer(sameText[netipPort]), cmp.Comparer(sameText[netipPrefix]), anywhere); diff != "" {
			t.Errorf("%s (-minimal +%s):\n%s", name, name, diff)
		}
	}
}

func yamlFiles(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/" + dir + "/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in testdata/%s (%v)", dir, err)
	}
	return files
}

func baseName(file string) string { return strings.TrimSuffix(filepath.Base(file), ".yaml") }

func read(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(read(t, file)), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// checkPositions checks that each problem has a line and column that exist, and that the problems are in order.
func checkPositions(t interface {
	Helper()
	Errorf(format string, args ...any)
}, data []byte, problems config.Problems,
) {
	t.Helper()
	text := strings.TrimPrefix(string(data), "\ufeff")
	lines := strings.Split(text, "\n")
	for i, p := range problems {
		if p.Line < 1 || p.Line > len(lines) {
			t.Errorf("line %d of %d: %s", p.Line, len(lines), p)
			continue
		}
		if width := len([]rune(lines[p.Line-1])); p.Column < 1 || p.Column > width+1 {
			t.Errorf("column %d of %d: %s", p.Column, width, p)
		}
		if i > 0 {
			if q := problems[i-1]; q.Line > p.Line || q.Line == p.Line && q.Column > p.Column {
				t.Errorf("out of order: %s before %s", q, p)
			}
		}
		if p.Message == "" || strings.ContainsAny(p.String(), "\n\r\x00") {
			t.Errorf("not one line with a message: %q", p.String())
		}
	}
}
