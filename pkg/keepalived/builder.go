package keepalived

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/conftree"
)

// topLevel are keywords of blocks that are in no other block: where one of them begins, all others have ended.
var topLevel = []string{
	"global_defs", "vrrp_instance", "vrrp_script", "vrrp_sync_group", "vrrp_track_process", "vrrp_track_file", "virtual_server",
	"virtual_server_group", "static_ipaddress", "static_routes", "static_rules", "bfd_instance", "garp_group",
}

// builder makes the tree of lines and braces.
type builder struct {
	reader  *reader
	open    []*conftree.Statement // the blocks around the next statement
	last    *conftree.Statement   // what a brace would be the block of; nil after a brace
	count   int
	pending []string // comments before the next statement
	full    bool
}

func (b *builder) comment(text string, at conftree.Position) {
	switch {
	case text == "":
	case b.last != nil && b.last.At().Line == at.Line && b.last.At().File == at.File:
		b.last.Trailing = text
	default:
		b.pending = append(b.pending, text)
	}
}

// line takes a line after all replacements.
func (b *builder) line(t text) {
	for t = t.trim(); t.bytes != ""; t = t.trim() {
		end := t.brace()
		switch {
		case end < 0:
			b.statement(t)
			return
		case end > 0:
			b.statement(t.slice(0, end).trim())
		case t.bytes[0] == '{':
			b.begin(t.position(0))
			end = 1
		default:
			b.end(t.position(0))
			end = 1
		}
		t = t.slice(end, len(t.bytes))
	}
}

func (b *builder) statement(t text) {
	if b.full {
		return
	}
	if b.count++; b.count > maxStatements {
		b.full = true
		b.reader.problem(t.position(0), "", "the file has more than %d statements: the rest is not read", maxStatements)
		return
	}
	s := &conftree.Statement{Words: t.words(), Raw: t.bytes, Comments: b.pending}
	if len(s.Words) == 0 {
		return
	}
	b.pending = nil
	if len(b.open) > 0 && slices.Contains(topLevel, s.Keyword()) && len(s.Words) <= 4 {
		outer := b.open[0]
		b.reader.report(conftree.Problem{At: s.At(), Hint: "add it", AsMeant: true, Message: fmt.Sprintf("a } is missing before this line: the block %s of line %d is still open", outer.Keyword(), outer.At().Line)})
		b.closeAll(s.At())
	}
	b.last = s
	if len(b.open) == 0 {
		b.reader.tree.Statements = append(b.reader.tree.Statements, s)
		return
	}
	in := b.open[len(b.open)-1]
	in.Block = append(in.Block, s)
}

func (b *builder) begin(at conftree.Position) {
	if b.full {
		return
	}
	if b.last == nil || b.last.IsBlock {
		b.reader.problem(at, "remove it", "a { without a keyword before it, which keepalived ignores, but not its }")
		return
	}
	if len(b.open) >= maxDepth {
		b.full = true
		b.reader.problem(at, "", "more than %d blocks are in each other: the rest is not read", maxDepth)
		return
	}
	b.last.IsBlock = true
	b.open = append(b.open, b.last)
	b.last = nil
}

func (b *builder) end(at conftree.Position) {
	if b.full {
		return
	}
	b.pending = nil
	if len(b.open) == 0 {
		b.reader.problem(at, "remove it, or look for a { that is missing above", "a } that closes no block")
		return
	}
	block := b.open[len(b.open)-1]
	block.End = at
	b.open, b.last = b.open[:len(b.open)-1], block
}

func (b *builder) closeAll(at conftree.Position) {
	for _, s := range b.open {
		s.End = at
	}
	b.open = nil
}

func (b *builder) finish() {
	if len(b.open) == 0 {
		return
	}
	s := b.open[len(b.open)-1]
	b.reader.problem(s.At(), "add it; a comment behind a value may have swallowed it", "the } of block %s is missing", s.Keyword())
	b.closeAll(s.At())
}

// problem reports each problem of a place once.
func (r *reader) problem(at conftree.Position, hint, format string, args ...any) {
	r.report(conftree.Problem{At: at, Message: fmt.Sprintf(format, args...), Hint: hint})
}

func (r *reader) report(p conftree.Problem) {
	if text := p.String(); !r.reported[text] && len(r.tree.Problems) < maxProblems {
		r.reported[text] = true
		r.tree.Problems = append(r.tree.Problems, p)
	}
}

// quote returns a text for messages, shortened.
func quote(s string) string {
	if len(s) > 60 {
		s = s[:60] + "…"
	}
	return "'" + strings.ToValidUTF8(s, "?") + "'"
}
