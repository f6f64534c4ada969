package keepalived

import (
	"fmt"
	"strings"
)

// Limits of what is parsed.
const (
	MaxBytes      = 2 << 20 // of one file
	maxFiles      = 256     // that are read, each as often as it is included
	maxInclude    = 16      // files that include each other
	maxExpansion  = 32      // definitions that name each other, and nested sequences
	maxRepeats    = 10_000  // lines of one sequence
	maxStatements = 100_000
	maxDepth      = 16      // nested blocks
	maxLine       = 8 << 10 // bytes of a line
	maxReplaced   = 256     // definitions that are replaced in a line
	maxTotal      = 8 << 20 // bytes of all lines, before replacement and after
	maxProblems   = 200
)

// Position is a place in a file; Line and Column count from 1, Column in bytes. What comes from a definition or a
// sequence has the position of its text there.
type Position struct {
	File         string
	Line, Column int
}

// String returns file:line:column.
func (p Position) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column) }

// Word is one word of a statement.
type Word struct {
	Text   string // without the quotes
	Quoted bool   // the word was in double quotes
	At     Position
}

// Statement is one line of a block, and the block that follows it, if any.
type Statement struct {
	Words []Word // at least one
	// Raw is the text from the first word to the end of the line, with the quotes.
	Raw string
	// IsBlock: a brace follows. Block is what is in it, End the position of the closing brace, or the end of the file.
	IsBlock bool
	Block   []*Statement
	End     Position
	// Comments are the comment lines before the statement, and Trailing the comment behind it, without # and !.
	Comments []string
	Trailing string
}

// Keyword returns the first word.
func (s *Statement) Keyword() string { return s.Words[0].Text }

// At returns the position of the first word.
func (s *Statement) At() Position { return s.Words[0].At }

// Arg returns the text of the word with this index, which is 0 for the keyword; "" if there are not so many.
func (s *Statement) Arg(n int) string {
	if n >= len(s.Words) {
		return ""
	}
	return s.Words[n].Text
}

// Args returns the text of the words after the keyword.
func (s *Statement) Args() []string {
	args := make([]string, 0, len(s.Words)-1)
	for _, w := range s.Words[1:] {
		args = append(args, w.Text)
	}
	return args
}

// LineKind tells what a line of a file is for.
type LineKind uint8

// The kinds of lines.
const (
	Blank       LineKind = iota // nothing, or a comment
	Statements                  // statements, braces; also those inside of a definition
	Definition                  // $NAME=
	Include                     // include
	OtherHost                   // @host, for a host that is not Options.Host
	Unreachable                 // could not be read because of a problem before
)

// Line is a line of a file that was read.
type Line struct {
	At   Position // Column is 1
	Text string
	Kind LineKind
}

// Problem is something that keepalived does not read as it is meant, or that cannot be read without more knowledge.
type Problem struct {
	At      Position
	Message string
	Hint    string // what to do; "" if the message says it
	AsMeant bool   // it was read as it is meant, although keepalived does not
}

// String returns the problem as one line.
func (p Problem) String() string {
	text := p.At.String() + ": " + p.Message
	if p.Hint != "" {
		text += " (" + p.Hint + ")"
	}
	return text
}

// Tree is what one file and those that it includes contain.
type Tree struct {
	Statements []*Statement
	// Lines has each line of each file that was read once, in the order of reading.
	Lines    []Line
	Problems []Problem
	// Hosts are the names of @host lines, in the order of their appearance.
	Hosts []string
}

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
func Parse(name string, data []byte, o Options) *Tree {
	r := &reader{options: o, tree: &Tree{}, definitions: map[string]definition{}, reported: map[string]bool{}, seen: map[string]bool{}}
	r.builder.reader = r
	if at, is := template(data); is {
		r.file(name, data, false)
		r.tree.Problems = []Problem{{At: Position{name, at, 1}, Message: "this is a template, not a keepalived.conf", Hint: "render it first, and import the result"}}
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
