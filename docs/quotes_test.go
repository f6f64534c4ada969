package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A quotation is a line of a block without a language that one of our programs prints, such as a problem, a line of the log, or
// an error of lvsctl.
var quotation = regexp.MustCompile(`^\s*(level=\w+ |PROBLEM: |CRITICAL: |WARNING: |CRITICAL \w+ for |(lvsctl|lvs-director): |[\w./-]+\.yaml:|\d+\.\d+s  |✓ |\d  |.*  (MASTER|BACKUP|FAULT|up|down): |mysql is )`)

// What the pages quote of the programs is still what they say: each three words in a row are in a string of the sources. So a
// text that was reworded is found, whatever it was composed of.
func TestQuotedTextsAreSaid(t *testing.T) {
	known := saidByPrograms(t)
	quoted := 0
	for _, p := range pages(t) {
		for _, b := range p.blocks {
			if b.language != "" {
				continue
			}
			for line := range strings.Lines(b.text) {
				if !quotation.MatchString(line) {
					continue
				}
				quoted++
				for _, clause := range clauses(others.ReplaceAllString(line, "")) {
					for triple := range triples(clause) {
						if !slices.ContainsFunc(triple[:], notAWord) && !known.has(triple) {
							t.Errorf("%s: no program says %q, in\n%s", p.path, strings.Join(triple[:], " "), line)
						}
					}
				}
			}
		}
	}
	if quoted < 80 {
		t.Errorf("only %d quotations found", quoted)
	}
}

// said are the words of the sources' strings.
type said struct {
	triples map[[3]string]bool // three in a row; verbs of fmt are "*"
	// begin and end are the first and the last words, one or two, of a clause, and of what is before and after a verb: texts are
	// put together there.
	begin, end map[string]bool
}

// has reports whether the strings have these words, or verbs in the place of one or two of them, or the words where two texts
// can meet.
func (s said) has(triple [3]string) bool {
	for mask := range 1<<3 - 1 { // bit i: a verb instead of word i
		with := triple
		for i := range with {
			if mask>>i&1 == 1 {
				with[i] = "*"
			}
		}
		if s.triples[with] {
			return true
		}
	}
	a, b, c := triple[0], triple[1], triple[2]
	return s.end[a] && s.begin[b+" "+c] || s.end[a+" "+b] && s.begin[c]
}

// add adds a clause of a string.
func (s said) add(words []string) {
	for i, word := range words {
		if strings.Contains(word, "*") {
			words[i] = "*"
		}
	}
	for triple := range triples(words) {
		s.triples[triple] = true
	}
	for piece := range strings.SplitSeq(strings.Join(words, " "), "*") {
		part := strings.Fields(piece)
		for n := 1; n <= min(2, len(part)); n++ {
			s.begin[strings.Join(part[:n], " ")] = true
			s.end[strings.Join(part[len(part)-n:], " ")] = true
		}
	}
}

var (
	separators = regexp.MustCompile("[:;()\"=|\n]|\\s-\\s|\\s{2,}|\\w+=")
	verb       = regexp.MustCompile(`%[-+#0-9.]*[a-zA-Z]`)
	plainWord  = regexp.MustCompile(`^[a-z][a-z',-]*$`)
	// others are the first words of what other programs and libraries say: systemd, MySQL, the kernel, encoding/json.
	others = regexp.MustCompile(`Host '[^']*' is blocked because of many connection errors; unblock with '[^']*'|systemctl stop mariadb|no such file or directory|invalid character '.' looking for beginning of value|add default via`)
)

// clauses are the words of each clause of a text. A value and the key before it are not in one clause.
func clauses(text string) (all [][]string) {
	for _, clause := range separators.Split(text, -1) {
		var words []string
		for word := range strings.FieldsSeq(clause) {
			if word = strings.Trim(word, ".,'…`"); word != "" {
				words = append(words, word)
			}
		}
		all = append(all, words)
	}
	return all
}

func triples(words []string) func(func([3]string) bool) {
	return func(yield func([3]string) bool) {
		for i := 2; i < len(words); i++ {
			if !yield([3]string(words[i-2 : i+1])) {
				return
			}
		}
	}
}

// notAWord: a name, an address or a number, which the cluster file or the machine gives.
func notAWord(word string) bool { return !plainWord.MatchString(word) }

// saidByPrograms reads the strings of the programs and of the demo.
func saidByPrograms(t *testing.T) said {
	t.Helper()
	known := said{map[[3]string]bool{}, map[string]bool{}, map[string]bool{}}
	for _, dir := range []string{"../pkg", "../realserver", "../e2e/cmd/demo"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && d.Name() == "testdata":
				return fs.SkipDir
			case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
				return nil
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				text, whole := constantString(n)
				if text != "" {
					for _, clause := range clauses(verb.ReplaceAllString(text, "*")) {
						known.add(clause)
					}
				}
				return !whole
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return known
}

// constantString returns the string of an expression that consists of literals; whole: its parts need not be looked at.
func constantString(n ast.Node) (text string, whole bool) {
	switch n := n.(type) {
	case *ast.BasicLit:
		if n.Kind == token.STRING {
			text, _ = strconv.Unquote(n.Value)
		}
		return text, true
	case *ast.BinaryExpr:
		x, wholeX := constantString(n.X)
		y, wholeY := constantString(n.Y)
		if n.Op == token.ADD && wholeX && wholeY {
			return x + y, true
		}
	}
	return "", false
}

var (
	columns = regexp.MustCompile(`\s{2,}`)
	column  = regexp.MustCompile(`^[A-Z][A-Z/ -]*$`)
)

// The titles of tables that the pages show are those that lvsctl prints, or each of them is one, as in the table of events.
func TestTablesHaveTheirColumns(t *testing.T) {
	printed := map[string]bool{}
	paths, err := filepath.Glob("../pkg/ctl/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if text, _ := constantString(n); text != "" {
				printed[strings.TrimSpace(text)] = true
			}
			return true
		})
	}
	shown := 0
	for _, p := range pages(t) {
		for _, b := range p.blocks {
			for line := range strings.Lines(b.text) {
				titles := columns.Split(strings.TrimSpace(line), -1)
				if len(titles) < 4 || slices.ContainsFunc(titles, func(s string) bool { return !column.MatchString(s) }) {
					continue
				}
				shown++
				if !printed[strings.Join(titles, "\t")] && slices.ContainsFunc(titles, func(s string) bool { return !printed[s] }) {
					t.Errorf("%s: lvsctl prints no table with the columns %q", p.path, titles)
				}
			}
		}
	}
	if shown < 6 {
		t.Errorf("only %d tables found", shown)
	}
}
