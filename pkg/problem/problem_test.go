package problem

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/internal/pagetest"
)

var update = flag.Bool("update", false, "write docs/operations.md")

// The page matches the registry. After a change: go test ./pkg/problem -run TestReference -update.
func TestReference(t *testing.T) {
	pagetest.Section(t, "../../docs/operations.md", "go test ./pkg/problem -run TestReference -update", Declared().Reference(), *update)
}

// Declarations are complete and exist for each code; an explanation has at least the severity of what it explains, and
// there are no cycles.
func TestDeclarations(t *testing.T) {
	r := Declared()
	codes := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	for i, d := range r.all {
		if !codes.MatchString(string(d.Code)) || d.Severity != Warning && d.Severity != Critical || d.Role == "" || d.Subject == "" || d.Means == "" || d.Remedy == "" {
			t.Errorf("incomplete: %+v", d)
		}
		if len(d.Remedy) < 60 || strings.HasPrefix(d.Remedy, "see ") || strings.HasSuffix(d.Remedy, ".") {
			t.Errorf("%s: the remedy does not tell an operator what to do, or ends with a full stop: %q", d.Code, d.Remedy)
		}
		if slices.ContainsFunc(r.all[:i], func(other Declaration) bool { return other.Code == d.Code }) {
			t.Errorf("%s is declared twice", d.Code)
		}
		for _, code := range d.ExplainedBy {
			by, declared := r.byCode[code]
			if !declared || rank(by.Severity) > rank(d.Severity) {
				t.Errorf("%s cannot be explained by %s (declared: %t, %s)", d.Code, code, declared, by.Severity)
			}
			if slices.Contains(causes(r, code), d.Code) {
				t.Errorf("%s and %s explain each other", d.Code, code)
			}
		}
	}
	for name, code := range constants(t) {
		if _, declared := r.byCode[code]; !declared {
			t.Errorf("%s (%s) has no declaration", name, code)
		}
	}
}

// causes are the codes that explain a code, directly or indirectly.
func causes(r Registry, code Code) []Code {
	var all []Code
	next := []Code{code}
	for len(next) > 0 && len(all) < len(r.all)*len(r.all) {
		by := r.byCode[next[0]].ExplainedBy
		next = append(next[1:], by...)
		all = append(all, by...)
	}
	return all
}

// constants are the codes declared in registry.go, by the names of their constants.
func constants(t *testing.T) map[string]Code {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), "registry.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]Code{}
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); ok && kind.Name == "Code" {
			all[spec.Names[0].Name] = Code(strings.Trim(spec.Values[0].(*ast.BasicLit).Value, `"`))
		}
		return true
	})
	if len(all) < 30 {
		t.Fatalf("only %d codes found", len(all))
	}
	return all
}

// A declared code appears in all derived artifacts: severity, remedy, explanations and the page.
func TestAddAProblemCode(t *testing.T) {
	const clockSkewed, noTime Code = "clock_skewed", "no_time"
	r := Of(append(Declared().all,
		Declaration{
			Code: clockSkewed, Severity: Warning, Role: Both, Subject: "node", Means: "the clock is wrong", Remedy: "start chrony",
			ExplainedBy: []Code{noTime},
		},
		Declaration{Code: noTime, Severity: Critical, Role: Agent, Subject: "node", Means: "there is no time", Remedy: "set it"},
	)...)
	skewed := Finding{Code: clockSkewed, Text: "the clock is 3s behind that of lvs-backup"}
	want := []Problem{{Code: clockSkewed, Severity: Warning, Text: skewed.Text, Remedy: "start chrony"}}
	if diff := cmp.Diff(want, r.Report([]Finding{skewed})); diff != "" {
		t.Errorf("(-want +reported):\n%s", diff)
	}
	if got := r.Report([]Finding{skewed, {Code: noTime, Text: "1970"}}); len(got) != 1 || got[0].Code != noTime || got[0].Severity != Critical {
		t.Errorf("explained: %+v", got)
	}
	for _, line := range []string{
		"| `clock_skewed` | WARNING | both | node | the clock is wrong | start chrony | `no_time` |\n",
		"| `no_time` | CRITICAL | agent | node | there is no time | set it |  |\n",
	} {
		if !strings.Contains(r.Reference(), line) {
			t.Errorf("the reference does not have %q", line)
		}
	}
}

// A code is mentioned only in its declaration and in one detecting file per daemon, so adding one touches nothing else.
func TestCodesAreKnownToFewFiles(t *testing.T) {
	files := map[string][]string{}
	use := regexp.MustCompile(`\bproblem\.(\w+)\b`)
	names := constants(t)
	for _, dir := range []string{"../../pkg", "../../realserver", "../../cmd"} {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			data, err := os.ReadFile(path)
			at := strings.TrimPrefix(filepath.ToSlash(path), "../../")
			for _, m := range use.FindAllStringSubmatch(string(data), -1) {
				if names[m[1]] != "" && !slices.Contains(files[m[1]], at) {
					files[m[1]] = append(files[m[1]], at)
				}
			}
			for _, code := range names {
				if at != "pkg/problem/registry.go" && strings.Contains(string(data), `Code("`+string(code)+`")`) {
					t.Errorf("%s uses the code %s without its constant", at, code)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	r := Declared()
	for name, code := range names {
		most := 1
		if r.byCode[code].Role == Both {
			most = 2
		}
		if got := files[name]; len(got) == 0 || len(got) > most {
			t.Errorf("%s is used in %q, want one to %d files", name, got, most)
		}
	}
}

func TestReport(t *testing.T) {
	r := Of(
		Declaration{Code: "cable", Severity: Critical},
		Declaration{Code: "socket", Severity: Warning, Remedy: "see the reason", ExplainedBy: []Code{"cable"}},
		Declaration{Code: "send", Severity: Warning, ExplainedBy: []Code{"cable", "socket"}},
	)
	for name, c := range map[string]struct {
		found []Finding
		want  string
	}{
		"nothing":                         {nil, ""},
		"alone":                           {[]Finding{{Code: "send", Subject: "a"}}, "WARNING send a"},
		"explained by the same subject":   {[]Finding{{Code: "send", Subject: "a"}, {Code: "cable", Subject: "a"}}, "CRITICAL cable a"},
		"not by another subject":          {[]Finding{{Code: "send", Subject: "a"}, {Code: "cable", Subject: "b"}}, "CRITICAL cable b, WARNING send a"},
		"by a related subject":            {[]Finding{{Code: "send", Subject: "a", Related: []string{"eth0"}}, {Code: "socket", Subject: "eth0"}}, "WARNING socket eth0"},
		"by one that is related to it":    {[]Finding{{Code: "socket", Subject: "a"}, {Code: "cable", Subject: "c", Related: []string{"a"}}}, "CRITICAL cable c"},
		"by the node":                     {[]Finding{{Code: "send", Subject: "a"}, {Code: "cable"}}, "CRITICAL cable "},
		"by one that is itself explained": {[]Finding{{Code: "send", Subject: "a", Related: []string{"eth0"}}, {Code: "socket", Subject: "eth0", Related: []string{"a"}}, {Code: "cable", Subject: "a"}}, "CRITICAL cable a"},
		"twice":                           {[]Finding{{Code: "send", Text: "1"}, {Code: "send", Text: "2"}, {Code: "send", Text: "2"}}, "WARNING send  1; 2"},
		"undeclared":                      {[]Finding{{Code: "send", Subject: "a"}, {Code: "other"}}, "CRITICAL other , WARNING send a"},
		"critical first, else as found":   {[]Finding{{Code: "send", Subject: "b"}, {Code: "send", Subject: "a"}, {Code: "cable", Subject: "z"}, {Code: "cable", Subject: "y"}}, "CRITICAL cable z, CRITICAL cable y, WARNING send b, WARNING send a"},
	} {
		var got []string
		for _, p := range r.Report(c.found) {
			got = append(got, strings.TrimSuffix(string(p.Severity)+" "+string(p.Code)+" "+p.Subject+" "+p.Text, " "))
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s: %q, want %q", name, strings.Join(got, ", "), c.want)
		}
	}
	if got := r.Report([]Finding{{Code: "socket", Remedy: "plug it in"}, {Code: "socket", Subject: "x"}}); got[0].Remedy != "plug it in" || got[1].Remedy != "see the reason" {
		t.Errorf("remedies: %+v", got)
	}
}

// TestHistoryRename: a problem keeps its start when its subject is renamed, also when two subjects exchange their names.
func TestHistoryRename(t *testing.T) {
	at := func(second int) time.Time { return time.Unix(int64(second), 0) }
	var h History
	h.Look(at(0), []Problem{{Code: "a", Subject: "x"}}, true)
	h.Look(at(1), []Problem{{Code: "a", Subject: "x"}, {Code: "a", Subject: "y"}}, true)
	h.Rename(map[string]string{"x": "y", "y": "x"})
	found := []Problem{{Code: "a", Subject: "y"}, {Code: "a", Subject: "x"}}
	raised, cleared := h.Look(at(2), found, true)
	if len(raised)+len(cleared) != 0 || !found[0].Since.Equal(at(0)) || !found[1].Since.Equal(at(1)) {
		t.Errorf("raised %v, cleared %v, found %v", raised, cleared, found)
	}
}

func TestHistory(t *testing.T) {
	at := func(second int) time.Time { return time.Unix(int64(second), 0) }
	a, b := Problem{Code: "a", Text: "1"}, Problem{Code: "b", Subject: "x"}
	var h History
	codes := func(all []Problem) string {
		var s []string
		for _, p := range all {
			s = append(s, string(p.Code)+p.Since.Format("@5"))
		}
		return strings.Join(s, " ")
	}
	for second, step := range []struct {
		found           []Problem
		tell            bool
		raised, cleared string
		since           []int
	}{
		{[]Problem{a}, false, "", "", []int{0}},
		{[]Problem{b}, false, "", "", []int{1}}, // a was never returned as raised
		{[]Problem{b, a}, true, "b@1 a@2", "", []int{1, 2}},
		{[]Problem{{Code: "a", Text: "2"}, b}, true, "", "", []int{2, 1}},
		{nil, true, "", "b@1 a@2", nil},
		{[]Problem{a}, true, "a@5", "", []int{5}},
	} {
		raised, cleared := h.Look(at(second), step.found, step.tell)
		if codes(raised) != step.raised || codes(cleared) != step.cleared {
			t.Errorf("second %d: raised %q, cleared %q, want %q, %q", second, codes(raised), codes(cleared), step.raised, step.cleared)
		}
		for i, since := range step.since {
			if !step.found[i].Since.Equal(at(since)) {
				t.Errorf("second %d: %s since %s, want %d", second, step.found[i].Code, step.found[i].Since, since)
			}
		}
	}
}
