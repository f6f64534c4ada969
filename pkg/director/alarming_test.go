package director

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/health"
)

// Every code of package health that needs an operator is reported as a problem, and no other: the verdict of several checks
// prefers these.
func TestAlarmingCodes(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../health/result.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	codes := 0
	ast.Inspect(file, func(n ast.Node) bool {
		declared, is := n.(*ast.ValueSpec)
		if !is || len(declared.Values) != 1 {
			return true
		}
		if name, named := declared.Type.(*ast.Ident); !named || name.Name != "Code" {
			return true
		}
		text, err := strconv.Unquote(declared.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		codes++
		if got := len(alarming(text, "mysql/mysql2", "")) > 0; got != health.Code(text).NeedsOperator() {
			t.Errorf("%s is reported: %t, needs an operator: %t", text, got, !got)
		}
		return true
	})
	if codes < 20 {
		t.Errorf("%d codes are found in ../health/result.go", codes)
	}
}
