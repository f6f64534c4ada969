package ldirectord

import (
	"fmt"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/conftree"
)

// maxStatements is how many directives of a file are read.
const maxStatements = 50_000

// parser reads one file.
type parser struct {
	tree    *conftree.Tree
	virtual *conftree.Statement // the section that indented lines belong to; nil: none
	ended   bool                // a blank line has ended it
	last    *conftree.Statement
	pending []string // comments before the next directive
	count   int
}

// Parse parses the content of a ldirectord.cf. name is used in positions.
func Parse(name string, data []byte) *conftree.Tree {
	p := &parser{tree: &conftree.Tree{}}
	p.tree.Split(name, data, p.line)
	return p.tree
}

const blanks = " \t\f\v\r"

func (p *parser) line(index int, line string) {
	place := &p.tree.Lines[index]
	text := strings.TrimLeft(line, blanks)
	indent := line[:len(line)-len(text)]
	place.Kind = conftree.Blank
	switch {
	case text == "":
		// ldirectord takes the indented lines behind it for global ones, which it does not know
		p.ended = p.virtual != nil
		return
	case text[0] == '#':
		p.comment(strings.Trim(text, blanks+"#"))
		return
	}
	place.Kind = conftree.Statements
	at := place.At
	at.Column = len(indent) + 1
	text, comment := p.decomment(text, at)
	s := statement(strings.TrimRight(text, blanks), at)
	if p.count++; p.count > maxStatements {
		place.Kind = conftree.Unreachable
		if p.count == maxStatements+1 {
			p.report(at, false, "", "the file has more than %d directives: the rest is not read", maxStatements)
		}
		return
	}
	s.Comments, s.Trailing = p.pending, comment
	p.pending, p.last = nil, s
	p.place(s, width(indent))
}

func (p *parser) comment(text string) {
	if text != "" {
		p.pending = append(p.pending, text)
	}
}

// width is the length of an indentation, in which ldirectord takes a tab for four blanks.
func width(indent string) int { return len(indent) + 3*strings.Count(indent, "\t") }

// place puts a directive into the section that it belongs to.
func (p *parser) place(s *conftree.Statement, indent int) {
	inside := indent > 0 && p.virtual != nil
	switch {
	case inside && p.ended:
		p.report(s.At(), true, "remove the blank line", "a blank line ends the virtual server of line %d, so ldirectord does not know this line: it is taken to belong to it", p.virtual.At().Line)
		p.ended = false
	case inside && indent < 4:
		p.report(s.At(), true, "indent it by a tab or 4 blanks", "ldirectord demands an indentation of 4 blanks: the line is taken to belong to the virtual server of line %d", p.virtual.At().Line)
	case indent > 0 && p.virtual == nil:
		p.report(s.At(), true, "remove the indentation", "ldirectord does not know an indented line that is in no virtual server: it is taken to be a global one")
	}
	if s.Keyword() == "virtual" || s.Keyword() == "virtual6" {
		if inside {
			p.report(s.At(), true, "remove the indentation", "a virtual server begins at the begin of a line: it is taken to be one")
		}
		s.IsBlock, s.End = true, s.At()
		p.virtual, p.ended, inside = s, false, false
	} else if !inside {
		p.virtual = nil
	}
	if !inside {
		p.tree.Statements = append(p.tree.Statements, s)
		return
	}
	p.virtual.Block = append(p.virtual.Block, s)
	p.virtual.End = s.At()
}

// decomment splits a line at its comment, which ldirectord also finds in quotes.
func (p *parser) decomment(text string, at conftree.Position) (rest, comment string) {
	i := strings.IndexByte(text, '#')
	if i < 0 {
		return text, ""
	}
	if strings.Count(text[:i], `"`)%2 == 1 {
		at.Column += i
		p.report(at, false, "write another text, without #", "ldirectord cuts the line at #, also in quotes")
	}
	return text[:i], strings.Trim(text[i:], blanks+"#")
}

func (p *parser) report(at conftree.Position, asMeant bool, hint, format string, args ...any) {
	p.tree.Report(conftree.Problem{At: at, Message: fmt.Sprintf(format, args...), Hint: hint, AsMeant: asMeant})
}

// statement splits DIRECTIVE = VALUE into words; text is not empty.
func statement(text string, at conftree.Position) *conftree.Statement {
	s := &conftree.Statement{Raw: text}
	end := strings.IndexAny(text, "="+blanks)
	if end < 0 {
		end = len(text)
	}
	s.Words = []conftree.Word{{Text: text[:max(end, 1)], At: at}}
	rest := strings.TrimLeft(text[end:], blanks)
	rest = strings.TrimLeft(strings.TrimPrefix(rest, "="), blanks)
	at.Column += len(text) - len(rest)
	if rest != "" {
		s.Words = append(s.Words, words(rest, at, s.Keyword() == "real" || s.Keyword() == "real6")...)
	}
	return s
}

// words splits a value at blanks. A text in quotes is one word; of real, which has two of them, each ends at the next quote,
// otherwise at the last one, as in ldirectord. A comma behind a quote is left out.
func words(text string, at conftree.Position, several bool) []conftree.Word {
	var all []conftree.Word
	for i := 0; i < len(text); {
		here := at
		here.Column += i
		switch {
		case strings.IndexByte(blanks, text[i]) >= 0 || text[i] == ',' && i > 0 && text[i-1] == '"':
			i++
		case text[i] == '"' && strings.Contains(text[i+1:], `"`):
			length := strings.LastIndexByte(text[i+1:], '"')
			if several {
				length = strings.IndexByte(text[i+1:], '"')
			}
			all = append(all, conftree.Word{Text: text[i+1 : i+1+length], Quoted: true, At: here})
			i += length + 2
		default:
			length := strings.IndexAny(text[i+1:], blanks)
			if length < 0 {
				length = len(text) - i - 1
			}
			all = append(all, conftree.Word{Text: text[i : i+1+length], At: here})
			i += length + 1
		}
	}
	return all
}
