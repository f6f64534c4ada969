package keepalived

import (
	"strconv"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/conftree"
)

// expand replaces what a line names, and passes the result on. depth counts definitions and sequences around it.
func (r *reader) expand(t text, depth int) {
	if r.total += len(t.bytes); r.builder.full || t.bytes == "" {
		return
	}
	switch {
	case depth > maxExpansion:
		r.problem(t.position(0), "", "definitions or sequences are nested more than %d times", maxExpansion)
		return
	case r.total > maxTotal:
		r.builder.full = true
		r.problem(t.position(0), "", "the definitions and sequences make more than %d bytes: the rest is not read", maxTotal)
		return
	}
	if depth > 0 { // a line of a definition
		var here bool
		if t, here = r.condition(t); !here {
			return
		}
		if name, value, is := definitionIn(t); is {
			r.definitions[name] = definition{lines: []text{value}}
			return
		}
	}
	if strings.HasPrefix(t.bytes, "~SEQ") || strings.HasPrefix(t.bytes, "~LST") {
		r.sequence(t, depth)
		return
	}
	before := t.bytes
	t, block, ok := r.replaced(t)
	switch {
	case !ok:
	case block == nil && t.bytes != before && (strings.HasPrefix(t.bytes, "@") || strings.HasPrefix(t.bytes, "~")):
		r.expand(t, depth+1)
	case block == nil:
		r.builder.line(t)
	default:
		r.block(t, block, depth)
	}
}

// block passes the lines of a definition on, the first one behind what was before its name.
func (r *reader) block(before text, lines []text, depth int) {
	for i, line := range lines {
		if i == 0 && before.bytes != "" {
			line = text{
				bytes: before.bytes + " " + line.bytes, at: before.at,
				columns: append(append(append([]int{}, before.columns...), before.position(len(before.bytes)).Column), make([]int, len(line.bytes))...),
			}
			for j := len(before.bytes); j < len(line.columns); j++ {
				line.columns[j] = before.position(len(before.bytes)).Column
			}
		}
		r.expand(line, depth+1)
	}
}

// replaced replaces the definitions that a line names, until there is nothing to replace. A definition of several lines
// at the end of the line is returned as its lines, and t is what is before it.
func (r *reader) replaced(t text) (rest text, block []text, ok bool) {
	replacements := 0
	for i := 0; i < len(t.bytes); i++ {
		if t.bytes[i] != '$' {
			continue
		}
		name, end := reference(t.bytes, i)
		if name == "" {
			continue
		}
		if replacements++; replacements > maxReplaced || len(t.bytes) > maxLine {
			r.problem(t.position(i), "", "the line names more than %d definitions or gets more than %d bytes; does $%s name itself?", maxReplaced, maxLine, name)
			return t, nil, false
		}
		d, known := r.definitions[name]
		switch {
		case known && d.multi && end == len(t.bytes):
			return t.slice(0, i).trim(), d.lines, true
		case known && d.multi:
		case known:
			t = t.replace(i, end, d.lines[0].bytes)
			i--
		default:
			if value, is := r.standard(name, t.position(i)); is {
				t = t.replace(i, end, value)
			}
		}
	}
	return t, nil, true
}

// reference returns the name of $NAME or ${NAME} at i, and where it ends; "" for none. A $NAME is followed by a blank,
// a comma, a parenthesis or nothing.
func reference(s string, i int) (name string, end int) {
	rest := s[i+1:]
	if inner, braced := strings.CutPrefix(rest, "{"); braced {
		n := strings.IndexByte(inner, '}')
		if n < 0 {
			return "", 0
		}
		word, _, _ := strings.Cut(inner[:n], " ")
		if nameLength(word) != len(word) || word != inner[:n] && word != "_ENV" && word != "_RANDOM" {
			return "", 0
		}
		return word, i + 1 + n + 2
	}
	n := nameLength(rest)
	if n == 0 || n < len(rest) && !strings.ContainsRune(" \t,)", rune(rest[n])) {
		return "", 0
	}
	return rest[:n], i + 1 + n
}

// standard returns the value of a definition that keepalived makes itself.
func (r *reader) standard(name string, at conftree.Position) (string, bool) {
	switch name {
	case "_PWD":
		return r.dirs[len(r.dirs)-1], true
	case "_HASH":
		return "#", true
	case "_BANG":
		return "!", true
	case "_INSTANCE":
		if r.options.Host != "" {
			return r.options.Host, true
		}
		r.problem(at, "say which with --host NAME", "${_INSTANCE} is the name of the host")
	case "_RANDOM":
		r.problem(at, "write a number", "${_RANDOM} is another number at each start")
	case "_ENV":
		r.problem(at, "write it", "${_ENV} is a value from the environment of keepalived, which is not known here")
	}
	return "", false
}

// sequence repeats the rest of a line for each value of ~SEQ or ~LST.
func (r *reader) sequence(t text, depth int) {
	end := closing(t.bytes)
	open := strings.IndexByte(t.bytes, '(')
	if end < 0 || open < 0 || open > end {
		r.problem(t.position(0), "", "%s is no sequence: ~SEQ(NAME, FROM, TO) or ~LST(NAME, VALUE, …)", quote(t.bytes))
		return
	}
	inside, _, ok := r.replaced(t.slice(open+1, end))
	var names []string
	var values [][]string
	if ok {
		switch kind := t.bytes[:open]; kind {
		case "~SEQ", "~SEQx":
			names, values, ok = series(inside.bytes, kind == "~SEQx")
		case "~LST":
			names, values, ok = enumerated(inside.bytes)
		default:
			ok = false
		}
	}
	if !ok {
		r.problem(t.position(0), "write the lines themselves", "%s is no sequence, or one of more than %d lines", quote(t.bytes[:end+1]), maxRepeats)
		return
	}
	rest := t.slice(end+1, len(t.bytes)).trim()
	for _, value := range values {
		if r.builder.full {
			return
		}
		for i, name := range names {
			r.definitions[name] = definition{lines: []text{newText(value[i], t.at)}}
		}
		r.expand(rest, depth+1)
	}
}

// closing returns the index of the parenthesis that closes the first one, or -1.
func closing(s string) int { return strings.IndexByte(s, ')') }

// series are the values of ~SEQ(name, [from, [step,]] to).
func series(s string, hex bool) (names []string, values [][]string, ok bool) {
	parts := strings.Split(s, ",")
	if len(parts) < 2 || len(parts) > 4 {
		return nil, nil, false
	}
	var n [3]int64
	for i, part := range parts[1:] {
		v, err := strconv.ParseInt(strings.Trim(part, blanks), 0, 64)
		if err != nil || v > 1<<40 || v < -1<<40 {
			return nil, nil, false
		}
		n[i] = v
	}
	from, step, to := n[0], n[1], n[2]
	switch len(parts) {
	case 2:
		from, to, step = 1, n[0], 1
		if to < 0 {
			from = -1
		}
	case 3:
		to, step = n[1], 1
	}
	if len(parts) < 4 && to < from {
		step = -1
	}
	if step == 0 || (to-from)/step >= maxRepeats {
		return nil, nil, false
	}
	base := 10
	if hex {
		base = 16
	}
	for v := from; step > 0 && v <= to || step < 0 && v >= to; v += step {
		values = append(values, []string{strconv.FormatInt(v, base)})
	}
	name := strings.Trim(parts[0], blanks)
	return []string{name}, values, nameLength(name) == len(name) && name != ""
}

// enumerated are the values of ~LST(name, a, b) or ~LST({name, name}, {a, b}, {c, d}).
func enumerated(s string) (names []string, values [][]string, ok bool) {
	var tuples [][]string
	for s = strings.Trim(s, blanks); s != ""; {
		var item string
		if inner, braced := strings.CutPrefix(s, "{"); braced {
			var closed bool
			if item, s, closed = strings.Cut(inner, "}"); !closed {
				return nil, nil, false
			}
			s = strings.TrimPrefix(strings.Trim(s, blanks), ",")
		} else {
			item, s, _ = strings.Cut(s, ",")
			item = strings.ReplaceAll(item, ",", " ")
		}
		var tuple []string
		for _, v := range strings.Split(item, ",") {
			tuple = append(tuple, strings.Trim(v, blanks))
		}
		if tuples = append(tuples, tuple); len(tuple) != len(tuples[0]) || len(tuples) > maxRepeats {
			return nil, nil, false
		}
		s = strings.Trim(s, blanks)
	}
	if len(tuples) < 2 {
		return nil, nil, false
	}
	for _, name := range tuples[0] {
		if name == "" || nameLength(name) != len(name) {
			return nil, nil, false
		}
	}
	return tuples[0], tuples[1:], true
}
