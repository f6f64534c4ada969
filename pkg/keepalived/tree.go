package keepalived

import (
	"strings"

	"github.com/lvs-director/lvs-director/pkg/conftree"
)

// Limits of what is parsed.
const (
	maxFiles      = 256    // that are read, each as often as it is included
	maxInclude    = 16     // files that include each other
	maxExpansion  = 32     // definitions that name each other, and nested sequences
	maxRepeats    = 10_000 // lines of one sequence
	maxStatements = 100_000
	maxDepth      = 16      // nested blocks
	maxLine       = 8 << 10 // bytes of a line
	maxReplaced   = 256     // definitions that are replaced in a line
	maxTotal      = 8 << 20 // bytes of all lines, before replacement and after
	maxProblems   = 200
)

// Files are the files that include names.
type Files interface {
	// Match returns the names of the files that a pattern without braces matches, sorted; none if there are none.
	Match(pattern string) []string
	// Read returns the content of a file.
	Read(name string) ([]byte, error)
}

// Options are what the file alone does not say.
type Options struct {
	// Host is the name that @host lines are compared with; "" means unknown, and @host lines are a problem.
	Host string
	// Files are for include; nil means that include is a problem.
	Files Files
}

// Parse parses the content of a file. name is used in positions, and its directory for the relative names of include.
func Parse(name string, data []byte, o Options) *conftree.Tree {
	r := &reader{options: o, tree: &conftree.Tree{}, definitions: map[string]definition{}, reported: map[string]bool{}, seen: map[string]bool{}}
	r.builder.reader = r
	if at, is := template(data); is {
		r.file(name, data, false)
		r.tree.Problems = []conftree.Problem{{At: conftree.Position{File: name, Line: at, Column: 1}, Message: "this is a template, not a keepalived.conf", Hint: "render it first, and import the result"}}
		return r.tree
	}
	r.file(name, data, true)
	r.builder.finish()
	return r.tree
}

// template returns the line of the first tag of Jinja or Go's text/template.
func template(data []byte) (line int, is bool) {
	for n, text := range strings.Split(string(data), "\n") {
		bare, _, _ := strings.Cut(text, "#")
		if strings.Contains(bare, "{%") || strings.Contains(bare, "{{") && strings.Contains(bare, "}}") &&
			!strings.Contains(bare, "~LST") && !strings.Contains(bare, "include") {
			return n + 1, true
		}
	}
	return 0, false
}
