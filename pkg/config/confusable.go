package config

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Files pasted from web pages contain confusable characters: no-break spaces as indentation, an en dash for a minus
// sign, full-width punctuation from a Chinese input method. YAML treats them as letters and fails later in the file or
// not at all. normalize finds and reports them first.

// normalize reports every confusable character in text and returns the text with the intended characters, so that the
// rest of the file can still be validated. Each is replaced by one character, which keeps positions valid.
func (r *reader) normalize(text []byte) []byte {
	var out bytes.Buffer
	out.Grow(len(text))
	for number, line := range bytes.SplitAfter(text, []byte("\n")) {
		r.normalizeLine(&out, string(line), number+1)
	}
	return out.Bytes()
}

func (r *reader) normalizeLine(out *bytes.Buffer, line string, number int) {
	type finding struct {
		odd    rune
		column int
		count  int
	}
	var found []finding
	comment, quote, oddQuote := false, rune(0), false
	before := ' ' // the previous character, normalized
	indent := true
	column := 0
	body := strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	for _, c := range body {
		column++
		meant, odd := intended(c)
		switch {
		case odd && !breaksYAML(c) && (comment || quote != 0 && !oddQuote):
			meant, odd = c, false // a comment, or quoted on purpose
		case c == '\t' && indent:
			meant, odd = ' ', true
		}
		if odd {
			if i := len(found) - 1; i >= 0 && found[i].odd == c {
				found[i].count++
			} else {
				found = append(found, finding{c, column, 1})
			}
		}
		switch {
		case comment:
		case quote != 0:
			if meant == quote {
				quote = 0
			}
		case (meant == '"' || meant == '\'') && strings.ContainsRune(" \t[{,:", before):
			quote, oddQuote = meant, odd
		case meant == '#' && (before == ' ' || before == '\t'):
			comment = true
		}
		indent = indent && meant == ' '
		before = meant
		out.WriteRune(meant)
	}
	out.WriteString(line[len(body):])
	for _, f := range found {
		more := ""
		if f.count > 1 {
			more = fmt.Sprintf(", %d times", f.count)
		}
		r.confusableLines[number] = true
		r.add(Problem{Line: number, Column: f.column, Message: nameOf(f.odd) + more, Hint: remedyFor(f.odd)})
	}
}

// intended returns the character that c is confusable with, and whether c is a confusable.
func intended(c rune) (rune, bool) {
	switch {
	case c == '\t' || c == '\n' || c >= ' ' && c <= '~':
		return c, false
	case breaksYAML(c):
		return ' ', true
	case c >= 0xff01 && c <= 0xff5e: // the full-width forms of '!' to '~'
		return c - 0xff01 + '!', true
	}
	switch l, ok := confusables[c]; {
	case !ok:
		return c, false
	case l.meant == 0:
		return ' ', true
	default:
		return l.meant, true
	}
}

// breaksYAML reports whether c ends a line or the text for YAML (1.2, section 5.1) but not in an editor. Such a
// character is rejected even in comments because it could hide the text after it.
func breaksYAML(c rune) bool {
	switch {
	case c == '\t' || c == '\n':
		return false
	case c < ' ', c >= 0x7f && c <= 0x9f, c == 0x2028, c == 0x2029:
		return true
	case c == 0xfeff, c == 0xfffe, c == 0xffff:
		return true
	}
	return false
}

type confusable struct {
	meant rune // 0: none, the character is invisible
	name  string
}

var confusables = map[rune]confusable{
	0x00a0: {' ', "no-break space"},
	0x00ad: {0, "soft hyphen"},
	0x1680: {' ', "ogham space mark"},
	0x2000: {' ', "en quad"},
	0x2001: {' ', "em quad"},
	0x2002: {' ', "en space"},
	0x2003: {' ', "em space"},
	0x2004: {' ', "three-per-em space"},
	0x2005: {' ', "four-per-em space"},
	0x2006: {' ', "six-per-em space"},
	0x2007: {' ', "figure space"},
	0x2008: {' ', "punctuation space"},
	0x2009: {' ', "thin space"},
	0x200a: {' ', "hair space"},
	0x200b: {0, "zero width space"},
	0x200c: {0, "zero width non-joiner"},
	0x200d: {0, "zero width joiner"},
	0x200e: {0, "left-to-right mark"},
	0x200f: {0, "right-to-left mark"},
	0x2010: {'-', "hyphen"},
	0x2011: {'-', "non-breaking hyphen"},
	0x2012: {'-', "figure dash"},
	0x2013: {'-', "en dash"},
	0x2014: {'-', "em dash"},
	0x2015: {'-', "horizontal bar"},
	0x2018: {'\'', "left single quotation mark"},
	0x2019: {'\'', "right single quotation mark"},
	0x201a: {'\'', "single low quotation mark"},
	0x201b: {'\'', "single reversed quotation mark"},
	0x201c: {'"', "left double quotation mark"},
	0x201d: {'"', "right double quotation mark"},
	0x201e: {'"', "double low quotation mark"},
	0x201f: {'"', "double reversed quotation mark"},
	0x202a: {0, "left-to-right embedding"},
	0x202b: {0, "right-to-left embedding"},
	0x202c: {0, "pop directional formatting"},
	0x202d: {0, "left-to-right override"},
	0x202e: {0, "right-to-left override"},
	0x202f: {' ', "narrow no-break space"},
	0x205f: {' ', "medium mathematical space"},
	0x2060: {0, "word joiner"},
	0x2066: {0, "left-to-right isolate"},
	0x2067: {0, "right-to-left isolate"},
	0x2068: {0, "first strong isolate"},
	0x2069: {0, "pop directional isolate"},
	0x2212: {'-', "minus sign"},
	0x3000: {' ', "ideographic space"},
	0x3001: {',', "ideographic comma"},
	0x3002: {'.', "ideographic full stop"},
}

// nameOf describes a character that is not allowed at its position.
func nameOf(c rune) string {
	switch {
	case c == '\t':
		return "a tab in the indentation: YAML indents with spaces"
	case c == '\r':
		return "U+000D (carriage return) inside a line"
	case c == 0xfeff:
		return "U+FEFF (byte order mark) inside the text"
	case c == 0x2028:
		return "U+2028 (line separator) inside a line"
	case c == 0x2029:
		return "U+2029 (paragraph separator) inside a line"
	case breaksYAML(c):
		return fmt.Sprintf("U+%04X (control character)", c)
	}
	meant, _ := intended(c)
	if c >= 0xff01 && c <= 0xff5e {
		return fmt.Sprintf("U+%04X (full-width %c) is not '%c'", c, meant, meant)
	}
	switch confusables[c].meant {
	case 0:
		return fmt.Sprintf("U+%04X (%s) is invisible", c, confusables[c].name)
	case ' ':
		return fmt.Sprintf("U+%04X (%s) is not a space", c, confusables[c].name)
	}
	return fmt.Sprintf("U+%04X (%s) is not '%c'", c, confusables[c].name, meant)
}

func remedyFor(c rune) string {
	meant, _ := intended(c)
	switch {
	case c == '\t':
		return "replace it with spaces"
	case breaksYAML(c), meant == ' ' && confusables[c].meant == 0:
		return "remove it"
	case meant == ' ':
		return "replace it with a space"
	default:
		return fmt.Sprintf("replace it with %c", meant)
	}
}

// nonASCII describes the first character of s that is not printable ASCII, as " (contains U+0430)"; "" if there is
// none. Keys, names and addresses are printable ASCII.
func nonASCII(s string) string {
	for _, c := range s {
		if c < ' ' || c > '~' {
			if l, ok := confusables[c]; ok {
				return fmt.Sprintf(" (contains U+%04X, %s)", c, l.name)
			}
			return fmt.Sprintf(" (contains U+%04X)", c)
		}
	}
	return ""
}

// position returns the line and column, from 1, of the character at a byte offset in text.
func position(text []byte, offset int) (line, column int) {
	head := text[:min(offset, len(text))]
	start := bytes.LastIndexByte(head, '\n') + 1
	return bytes.Count(head, []byte("\n")) + 1, utf8.RuneCount(head[start:]) + 1
}
