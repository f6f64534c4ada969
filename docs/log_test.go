package docs_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/internal/pagetest"
)

var update = flag.Bool("update", false, "write the table of log messages in operations.md")

// loggers are the attributes that the log of a type adds to each message, see the calls of With in
// pkg/election and pkg/liveness.
var loggers = map[string][]string{
	"Actor":   {"instance", "vrid"},
	"Session": {"neighbour", "interface"},
	"Link":    {"interface"},
}

// The table of log messages has exactly the messages of the programs. After a change: go test ./docs -run
// TestLogMessages -update.
func TestLogMessages(t *testing.T) {
	rows := logMessages(t)
	if len(rows) < 40 {
		t.Fatalf("only %d log messages found", len(rows))
	}
	want := "| level | message | keys |\n|---|---|---|\n" + strings.Join(rows, "")
	pagetest.Section(t, "operations.md", "go test ./docs -run TestLogMessages -update", want, *update)
}

// logMessages returns a row for each message of the daemons, by level and text.
func logMessages(t *testing.T) []string {
	t.Helper()
	var rows []string
	for _, dir := range []string{"../pkg", "../realserver"} {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for _, d := range file.Decls {
				if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil {
					rows = append(rows, messagesOf(f)...)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.SortFunc(rows, func(a, b string) int {
		return strings.Compare(strconv.Itoa(levelOrder(a))+strings.ToLower(a), strconv.Itoa(levelOrder(b))+strings.ToLower(b))
	})
	return slices.Compact(rows)
}

func levelOrder(row string) int {
	return slices.IndexFunc([]string{"| ERROR", "| WARN", "| INFO"}, func(l string) bool { return strings.HasPrefix(row, l) })
}

// messagesOf returns the rows of the messages that a function logs with a constant text.
func messagesOf(f *ast.FuncDecl) []string {
	var rows []string
	var common []string
	if f.Recv != nil {
		if star, ok := f.Recv.List[0].Type.(*ast.StarExpr); ok {
			common = loggers[fmt.Sprint(star.X)]
		}
	}
	add := func(level string, text ast.Expr, keys []string) {
		for _, message := range constants(f, text) {
			rows = append(rows, fmt.Sprintf("| %s | `%s` | %s |\n", level, message, code(keys)))
		}
	}
	ast.Inspect(f.Body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		method, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		level := strings.ToUpper(method.Sel.Name)
		switch {
		case slices.Contains([]string{"INFO", "WARN", "ERROR"}, level) && isLog(method.X):
			add(level, call.Args[0], slices.Concat(common, keys(call.Args[1:])))
		case method.Sel.Name == "done" && len(call.Args) > 3: // the agent: the first time and each repair
			add("INFO", call.Args[1], keys(call.Args[3:]))
			add("WARN", call.Args[2], append(keys(call.Args[3:]), "repairs"))
		}
		return true
	})
	return rows
}

// isLog reports whether an expression is a logger, by its name.
func isLog(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.Ident:
		return strings.EqualFold(x.Name, "log")
	case *ast.SelectorExpr:
		return strings.EqualFold(x.Sel.Name, "log")
	}
	return false
}

// constants are the values of a message: a literal, or the literals assigned to a variable of the function.
func constants(f *ast.FuncDecl, text ast.Expr) []string {
	if s, ok := literal(text); ok {
		return []string{s}
	}
	name, ok := text.(*ast.Ident)
	if !ok {
		return nil
	}
	var all []string
	ast.Inspect(f.Body, func(n ast.Node) bool {
		if a, ok := n.(*ast.AssignStmt); ok && len(a.Lhs) == 1 && len(a.Rhs) == 1 {
			if to, ok := a.Lhs[0].(*ast.Ident); ok && to.Name == name.Name {
				if s, ok := literal(a.Rhs[0]); ok {
					all = append(all, s)
				}
			}
		}
		return true
	})
	return all
}

func literal(x ast.Expr) (string, bool) {
	if lit, ok := x.(*ast.BasicLit); ok && lit.Kind == token.STRING {
		s, err := strconv.Unquote(lit.Value)
		return s, err == nil
	}
	return "", false
}

// keys are the constant keys among the attributes of a message.
func keys(attributes []ast.Expr) []string {
	var all []string
	for i := 0; i < len(attributes); i += 2 {
		if s, ok := literal(attributes[i]); ok {
			all = append(all, s)
		}
	}
	return all
}

func code(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "`" + strings.Join(names, "`, `") + "`"
}
