package conftree

import (
	"fmt"
	"slices"
)

// MaxBytes is the size of a file from which on the parsers refuse it.
const MaxBytes = 2 << 20

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

// maxProblems is how many problems of a tree are kept.
const maxProblems = 200

// Report adds a problem, unless the tree has it already, or has very many.
func (t *Tree) Report(p Problem) {
	if len(t.Problems) < maxProblems && !slices.Contains(t.Problems, p) {
		t.Problems = append(t.Problems, p)
	}
}
