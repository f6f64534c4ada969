package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestRenderingsMatchLoggedLines: for each rendering some log call in the daemons' source has its message and its keys.
func TestRenderingsMatchLoggedLines(t *testing.T) {
	const root = "../../.."
	logged := map[string][][]string{} // message → the strings of each call
	for _, dir := range []string{"pkg", "realserver", "cmd"} {
		if err := filepath.WalkDir(filepath.Join(root, dir), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			return gatherLogged(path, logged)
		}); err != nil {
			t.Fatal(err)
		}
	}
	if len(logged) < 50 {
		t.Fatalf("only %d messages found: this test could not detect a missing one", len(logged))
	}
	for message, rendering := range renderings() {
		calls := logged[message]
		whole := func(call []string) bool {
			return !slices.ContainsFunc(rendering.keys, func(key string) bool { return !slices.Contains(call, key) })
		}
		if !slices.ContainsFunc(calls, whole) {
			t.Errorf("no log call has the message %q and the keys %q: %q", message, rendering.keys, calls)
		}
	}
}

// gatherLogged adds the log messages of a file: from calls of Info, Warn, Error and Debug whose first argument is a
// string.
func gatherLogged(path string, logged map[string][][]string) error {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		method, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || !slices.Contains([]string{"Info", "Warn", "Error", "Debug"}, method.Sel.Name) {
			return true
		}
		var words []string
		for _, arg := range call.Args {
			if literal, ok := arg.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				if word, err := strconv.Unquote(literal.Value); err == nil {
					words = append(words, word)
				}
			}
		}
		if len(words) > 0 {
			logged[words[0]] = append(logged[words[0]], words[1:])
		}
		return true
	})
	return nil
}
