package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// noScenarios are test functions of e2e that are not scenarios, each with its purpose.
var noScenarios = map[string]string{
	"TestMain": "starts the others",
}

// The comment of every scenario ends with the sentences of the pages that it proves:
//
//	// Proves docs/agent.md: "It looks again on address and link events, and every 5 s."
//
// The test fails if such a sentence is changed or removed, so that the scenario is reviewed.
func TestScenariosProveWhatThePagesSay(t *testing.T) {
	text := map[string]string{} // of each page by its path from the root of the tree, whitespace folded
	for _, p := range pages(t) {
		data, err := os.ReadFile(p.path)
		if err != nil {
			t.Fatal(err)
		}
		text[filepath.ToSlash(filepath.Join("docs", p.path))] = folded(string(data))
	}
	found := 0
	for name, comment := range scenarios(t) {
		if noScenarios[name] != "" {
			continue
		}
		found++
		what, promises, _ := strings.Cut(comment, "\nProves ")
		if !strings.HasPrefix(what, name+": ") {
			t.Errorf("%s: the comment above it must begin with %q and what it proves", name, name+": ")
		}
		if promises == "" {
			t.Errorf(`%s: the comment above it must end with a line such as: // Proves docs/agent.md: "a sentence of that page."`, name)
			continue
		}
		for _, promise := range strings.Split(promises, "\nProves ") {
			page, quoted, ok := strings.Cut(strings.TrimSpace(promise), `: "`)
			sentence, closed := strings.CutSuffix(folded(quoted), `"`)
			switch {
			case !ok || !closed:
				t.Errorf(`%s: not of the form // Proves PAGE: "SENTENCE": %q`, name, promise)
			case text[page] == "":
				t.Errorf("%s: there is no page %s", name, page)
			case len(strings.Fields(sentence)) < 5:
				t.Errorf("%s: %q is too short to be a promise", name, sentence)
			case !strings.Contains(text[page], sentence):
				t.Errorf("%s: %s does not contain %q", name, page, sentence)
			}
		}
	}
	if found < 50 {
		t.Errorf("only %d scenarios found", found)
	}
}

func folded(text string) string { return strings.Join(strings.Fields(text), " ") }

// scenarios are the test functions of e2e with their comments.
func scenarios(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../e2e/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				all[f.Name.Name] = f.Doc.Text()
			}
		}
	}
	return all
}
