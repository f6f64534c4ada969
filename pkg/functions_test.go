package pkg_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// maxLines is the length of a function, in lines, from which it should be split. Tests may be longer.
const maxLines = 60

func TestFunctionsAreShort(t *testing.T) {
	files := token.NewFileSet()
	forGoFiles(t, func(path string) error {
		if strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			begin, end := files.Position(f.Pos()), files.Position(f.End())
			if lines := end.Line - begin.Line + 1; lines > maxLines {
				t.Errorf("%s: %s has %d lines, at most %d are allowed: split it", begin, f.Name.Name, lines, maxLines)
			}
		}
		return nil
	})
}

// maxFileLines is the length of a file, in lines, from which it should be split: it contains more than one noun. It applies
// to tests as well.
const maxFileLines = 500

func TestFilesAreShort(t *testing.T) {
	forGoFiles(t, func(path string) error {
		data, err := os.ReadFile(path)
		if lines := bytes.Count(data, []byte("\n")); lines > maxFileLines {
			t.Errorf("%s has %d lines, at most %d are allowed: split it by noun", path, lines, maxFileLines)
		}
		return err
	})
}

// maxCommentWidth is the width of a line that is a comment, in columns with tabs of 4, from which it should be wrapped.
const maxCommentWidth = 140

func TestCommentsFit(t *testing.T) {
	forGoFiles(t, func(path string) error {
		data, err := os.ReadFile(path)
		for n, line := range strings.Split(string(data), "\n") {
			comment := strings.TrimLeft(line, "\t")
			if !strings.HasPrefix(comment, "// ") {
				continue
			}
			if width := 4*(len(line)-len(comment)) + utf8.RuneCountInString(comment); width > maxCommentWidth {
				t.Errorf("%s:%d: a comment of %d columns, at most %d are allowed: wrap it at about 125", path, n+1, width, maxCommentWidth)
			}
		}
		return err
	})
}

// forGoFiles calls f for each Go file of the module.
func forGoFiles(t *testing.T, f func(path string) error) {
	t.Helper()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == "bin" || path != ".." && strings.HasPrefix(d.Name(), ".")):
			return fs.SkipDir
		case strings.HasSuffix(path, ".go"):
			return f(path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
