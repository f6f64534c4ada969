package keepalived

import (
	"strings"

	"github.com/lvs-director/lvs-director/pkg/conftree"
)

// text is a piece of a line whose bytes know their columns, which replacements keep.
type text struct {
	bytes   string
	columns []int
	at      conftree.Position // of the line; its Column is not used
}

func newText(s string, at conftree.Position) text {
	t := text{bytes: s, columns: make([]int, len(s)), at: at}
	for i := range t.columns {
		t.columns[i] = i + 1
	}
	return t
}

func (t text) slice(from, to int) text {
	return text{bytes: t.bytes[from:to], columns: t.columns[from:to], at: t.at}
}

func (t text) position(i int) conftree.Position {
	at := t.at
	at.Column = 1
	if len(t.columns) > 0 {
		at.Column = t.columns[min(i, len(t.columns)-1)]
	}
	return at
}

// replace replaces the bytes from from to to; those that come in have the column of the first that goes.
func (t text) replace(from, to int, with string) text {
	columns := append([]int{}, t.columns[:from]...)
	column := t.position(from).Column
	for range len(with) {
		columns = append(columns, column)
	}
	return text{bytes: t.bytes[:from] + with + t.bytes[to:], columns: append(columns, t.columns[to:]...), at: t.at}
}

// blanks replaces what looks like a blank and is none, and reports whether there is such a thing.
func (t text) blanks() (text, bool) {
	was := t.bytes
	for _, space := range []string{"\u00a0", "\u3000"} {
		t.bytes = strings.ReplaceAll(t.bytes, space, "   "[:len(space)])
	}
	return t, t.bytes != was
}

const blanks = " \t\f\v\r\n"

func (t text) trim() text {
	end := len(strings.TrimRight(t.bytes, blanks))
	begin := end - len(strings.TrimLeft(t.bytes[:end], blanks))
	return t.slice(begin, end)
}

// decomment splits a line at its comment and removes the escapes of comment characters. A comment that ends in a
// backslash leaves it: keepalived reads it as the continuation of a definition. open reports a quote that is not closed.
func (t text) decomment() (rest text, comment string, open bool) {
	quoted := false
	skip := -1
	for i := 0; i < len(t.bytes); i++ {
		switch c := t.bytes[i]; {
		case skip >= 0:
		case c == '"':
			quoted = !quoted
		case c == '\\' && !quoted && i+1 < len(t.bytes) && (t.bytes[i+1] == '#' || t.bytes[i+1] == '!'):
			t = t.replace(i, i+1, "")
		case c == '\\':
			i++
		case !quoted && (c == '#' || c == '!'):
			skip = i
		}
	}
	if skip < 0 {
		return t.trim(), "", quoted
	}
	comment = strings.Trim(t.bytes[skip:], blanks+"#!")
	rest = t.slice(0, skip).trim()
	if body, continued := strings.CutSuffix(strings.TrimRight(t.bytes, blanks), `\`); continued && len(body) >= skip {
		comment = strings.TrimRight(strings.TrimSuffix(comment, `\`), blanks)
		rest = text{bytes: rest.bytes + `\`, columns: append(append([]int{}, rest.columns...), len(body)+1), at: t.at}
	}
	return rest, comment, false
}

// words splits a line without braces. A quote begins and ends a word, also beside other bytes.
func (t text) words() []conftree.Word {
	var all []conftree.Word
	for i := 0; i < len(t.bytes); {
		switch {
		case strings.IndexByte(blanks, t.bytes[i]) >= 0:
			i++
		case t.bytes[i] == '"':
			end := strings.IndexByte(t.bytes[i+1:], '"')
			if end < 0 {
				end = len(t.bytes) - i - 1
			}
			all = append(all, conftree.Word{Text: t.bytes[i+1 : i+1+end], Quoted: true, At: t.position(i)})
			i = min(i+end+2, len(t.bytes))
		default:
			end := strings.IndexAny(t.bytes[i:], blanks+`"`)
			if end < 0 {
				end = len(t.bytes) - i
			}
			all = append(all, conftree.Word{Text: t.bytes[i : i+end], At: t.position(i)})
			i += end
		}
	}
	return all
}

// brace returns the index of the first brace outside of quotes, or -1.
func (t text) brace() int {
	quoted := false
	for i := range len(t.bytes) {
		switch c := t.bytes[i]; {
		case c == '"':
			quoted = !quoted
		case !quoted && (c == '{' || c == '}'):
			return i
		}
	}
	return -1
}
