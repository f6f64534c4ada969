package e2e

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestGates: `make soak` runs all that `make test` leaves out, and every scenario that has a long form.
func TestGates(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join("..", "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	makefile := strings.ReplaceAll(string(content), "$$", "$")
	list := func(variable string) *regexp.Regexp {
		m := regexp.MustCompile(`(?m)^` + variable + ` +:= (.*)$`).FindStringSubmatch(makefile)
		if m == nil {
			t.Fatalf("the Makefile has no %s", variable)
		}
		return regexp.MustCompile(m[1])
	}
	longer := list("LONGER")
	soak := []*regexp.Regexp{
		list("LONG_TIMED"), list("LONG_OTHER"),
		regexp.MustCompile("^TestMemoryShort$|^TestAdvertsWhile"), regexp.MustCompile("^TestAtRest$"), // of their own; bench-rest
	}
	for name, long := range scenarios(t) {
		soaked := false
		for _, s := range soak {
			soaked = soaked || s.MatchString(name)
		}
		switch {
		case longer.MatchString(name) && !soaked:
			t.Errorf("%s is in LONGER, and make soak does not run it", name)
		case long && !soaked:
			t.Errorf("%s has a long form, and make soak does not run it", name)
		}
	}
}

// scenarios are the tests of this package, and whether they reach something that depends on LVS_SOAK.
func scenarios(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no source here: %v", err)
	}
	uses := map[string]map[string]bool{} // of each function, or of all methods of one .name, the functions and methods it names
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range parsed.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			name := f.Name.Name
			if f.Recv != nil {
				name = "." + name
			}
			if uses[name] == nil {
				uses[name] = map[string]bool{}
			}
			note(f, uses[name])
		}
	}
	var reaches func(name string, seen map[string]bool) bool
	reaches = func(name string, seen map[string]bool) bool {
		if name == "soaking" {
			return true
		}
		if seen[name] {
			return false
		}
		seen[name] = true
		for used := range uses[name] {
			if reaches(used, seen) {
				return true
			}
		}
		return false
	}
	found := map[string]bool{}
	for name := range uses {
		if strings.HasPrefix(name, "Test") && name != "TestMain" && name != "TestGates" {
			found[name] = reaches(name, map[string]bool{})
		}
	}
	return found
}

// note enters what a function names: functions by their name, methods, fields and what other packages have with a dot.
func note(f *ast.FuncDecl, names map[string]bool) {
	shadowed := map[string]bool{}
	for _, field := range f.Type.Params.List {
		for _, name := range field.Names {
			shadowed[name.Name] = true
		}
	}
	var walk func(n ast.Node) bool
	walk = func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			names["."+n.Sel.Name] = true
			ast.Inspect(n.X, walk)
			return false
		case *ast.Ident:
			if !shadowed[n.Name] {
				names[n.Name] = true
			}
		}
		return true
	}
	ast.Inspect(f, walk)
}
