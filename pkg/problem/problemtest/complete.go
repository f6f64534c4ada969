package problemtest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/problem"
)

// OfDaemon are the codes that package daemon detects for both roles. Their cases are in its table.
func OfDaemon() []problem.Code {
	return []problem.Code{problem.ClusterFileUnusable, problem.ClusterFileChanged, problem.ReloadRefused, problem.EventsNotSaved, problem.MetricsNotPublished, problem.APINotOffered}
}

// Complete fails the test for each declared code without a case: of the role, or those of OfDaemon if the role is
// problem.Both. table is the file with the cases.
func Complete[M any](t *testing.T, role problem.Role, table string, cases []Case[M]) {
	t.Helper()
	names := map[string]bool{}
	for _, c := range cases {
		if names[c.Name()] {
			t.Errorf("there are two cases %s: give each a Fault", c.Name())
		}
		names[c.Name()] = true
	}
	for _, d := range problem.Declared().All() {
		ofDaemon := slices.Contains(OfDaemon(), d.Code)
		ours := d.Role == role || d.Role == problem.Both && !ofDaemon
		if role == problem.Both {
			ours = ofDaemon
		}
		has := slices.ContainsFunc(cases, func(c Case[M]) bool { return c.Code == d.Code })
		if ours && !has {
			t.Errorf("%s is declared and has no case: add one to %s that breaks the thing, sees the code appear within 5 s or three intervals, "+
				"mends it and sees it go away likewise; or, for what only a kernel can show, one that names a scenario", d.Code, table)
		}
		if has && !ours {
			t.Errorf("%s has a case in %s and is no code of this role", d.Code, table)
		}
	}
}

// InScenario fails the test unless a scenario in e2e, a directory, exists and looks for the code.
func InScenario(t *testing.T, e2e, scenario string, code problem.Code) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(e2e, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios in %s: %v", e2e, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, body, found := strings.Cut(string(text), "\nfunc "+scenario+"(")
		if !found {
			continue
		}
		// Up to the next scenario: what it calls is usually below it.
		if next := regexp.MustCompile(`\nfunc Test`).FindStringIndex(body); next != nil {
			body = body[:next[0]]
		}
		if !strings.Contains(body, `"`+string(code)+`"`) {
			t.Errorf("%s in %s does not look for %q, which the table of cases says", scenario, file, code)
		}
		return
	}
	t.Errorf("%s is shown by the scenario %s, which does not exist", code, scenario)
}
