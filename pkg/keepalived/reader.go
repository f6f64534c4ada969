package keepalived

import (
	"bytes"
	"path"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/conftree"
)

// reader reads lines, replaces what is defined, and passes the result to the builder.
type reader struct {
	options     Options
	tree        *conftree.Tree
	builder     builder
	definitions map[string]definition
	reported    map[string]bool
	dirs        []string // of the files that are being read
	files       int
	seen        map[string]bool // names of files whose lines are recorded
	bytes       int             // that were read
	total       int             // bytes that were passed on
}

// definition is a $NAME= with the lines of its value.
type definition struct {
	lines []text
	multi bool // has several lines, or none with a backslash
}

// file reads a file; with parse false only its lines are recorded.
func (r *reader) file(name string, data []byte, parse bool) {
	at := conftree.Position{File: name, Line: 1, Column: 1}
	switch {
	case len(data) > conftree.MaxBytes:
		r.problem(at, "", "the file has more than %d bytes", conftree.MaxBytes)
		return
	case r.bytes+len(data) > maxTotal:
		r.problem(at, "", "the included files have more than %d bytes in all: the rest is not read", maxTotal)
		return
	case bytes.IndexByte(data, 0) >= 0:
		r.problem(at, "", "the file has a byte 0: it is no text")
		return
	}
	seen := r.seen[name]
	r.seen[name] = true
	r.bytes += len(data)
	r.dirs = append(r.dirs, path.Dir(name))
	defer func() { r.dirs = r.dirs[:len(r.dirs)-1] }()
	content := strings.TrimSuffix(strings.TrimPrefix(string(data), "\ufeff"), "\n")
	in := fileState{reader: r}
	for n, line := range strings.Split(content, "\n") {
		at.Line = n + 1
		line = strings.TrimRight(line, "\r")
		index := -1
		if !seen {
			index = len(r.tree.Lines)
			r.tree.Lines = append(r.tree.Lines, conftree.Line{At: at, Text: line, Kind: conftree.Unreachable})
		}
		if parse {
			in.line(newText(line, at), index)
		}
	}
	in.endDefinition()
}

// fileState is what a file's next line depends on.
type fileState struct {
	reader *reader
	name   string // of the definition whose lines follow; "" if none
	lines  []text
}

func (f *fileState) line(t text, index int) {
	r := f.reader
	kind := conftree.Blank
	if len(t.bytes) > maxLine {
		r.problem(t.position(0), "", "the line has more than %d bytes, and is not read", maxLine)
		return
	}
	t, foreign := t.blanks()
	rest, comment, open := t.decomment()
	if foreign && rest.bytes != "" && rest.bytes != "}" {
		r.report(conftree.Problem{At: rest.position(0), AsMeant: true, Message: "the line has a no-break or ideographic space, which keepalived takes for a part of a word: it is read as a blank"})
	}
	switch {
	case open:
		r.problem(rest.position(strings.LastIndexByte(rest.bytes, '"')), "close it in the same line", "a quote is not closed")
	case t.bytes == "" && f.name != "":
		f.endDefinition()
	}
	switch {
	case f.name != "":
		kind = conftree.Statements
		f.continued(rest)
	case rest.bytes == "" || rest.bytes == `\`:
		r.builder.comment(comment, t.at)
	default:
		kind = f.process(rest)
		r.builder.comment(comment, t.at)
	}
	if index >= 0 {
		r.tree.Lines[index].Kind = kind
	}
}

// continued takes a line of a definition, the last one of which has no backslash.
func (f *fileState) continued(t text) {
	body, more := strings.CutSuffix(t.bytes, `\`)
	if t = t.slice(0, len(body)).trim(); t.bytes != "" {
		f.lines = append(f.lines, t)
	}
	if !more {
		f.endDefinition()
	}
}

func (f *fileState) endDefinition() {
	if f.name != "" {
		f.reader.definitions[f.name] = definition{f.lines, true}
		f.name, f.lines = "", nil
	}
}

// process takes a line outside of definitions and returns what it is.
func (f *fileState) process(t text) conftree.LineKind {
	r := f.reader
	t, here := r.condition(t)
	if !here {
		return conftree.OtherHost
	}
	if name, value, is := definitionIn(t); is {
		body, more := strings.CutSuffix(value.bytes, `\`)
		value = value.slice(0, len(body)).trim()
		f.lines = []text{value}
		if !more {
			r.definitions[name] = definition{lines: f.lines}
			return conftree.Definition
		}
		if f.name = name; value.bytes == "" {
			f.lines = nil
		}
		return conftree.Definition
	}
	if keyword, argument, is := includeIn(t); is {
		r.include(keyword, argument)
		return conftree.Include
	}
	if strings.HasSuffix(t.bytes, `\`) {
		r.problem(t.position(len(t.bytes)-1), "write it in one line", `a \ at the end of a line continues only the value of a definition: keepalived takes it as a word`)
		t = t.slice(0, len(t.bytes)-1).trim()
	}
	r.expand(t, 0)
	return conftree.Statements
}

// condition removes @host from a line, and reports whether the line is for this host.
func (r *reader) condition(t text) (text, bool) {
	name, isCondition := strings.CutPrefix(t.bytes, "@")
	if !isCondition {
		return t, true
	}
	name, not := strings.CutPrefix(name, "^")
	end := strings.IndexAny(name, " \t")
	if end < 0 {
		return t, false
	}
	rest := t.slice(len(t.bytes)-len(name)+end, len(t.bytes)).trim()
	name = name[:end]
	r.host(name)
	if r.options.Host == "" {
		r.problem(conftree.Position{File: t.at.File, Line: t.at.Line, Column: t.position(0).Column}, "say for which host with --host NAME, or for each director with --node NAME=FILE", "the line is for the host %s only", quote(name))
		return t, false
	}
	return rest, (name == r.options.Host) != not
}

func (r *reader) host(name string) {
	for _, h := range r.tree.Hosts {
		if h == name {
			return
		}
	}
	r.tree.Hosts = append(r.tree.Hosts, name)
}

// definitionIn splits $NAME=VALUE.
func definitionIn(t text) (name string, value text, is bool) {
	if !strings.HasPrefix(t.bytes, "$") {
		return "", text{}, false
	}
	end := 1 + nameLength(t.bytes[1:])
	if end == 1 || end >= len(t.bytes) || t.bytes[end] != '=' {
		return "", text{}, false
	}
	return t.bytes[1:end], t.slice(end+1, len(t.bytes)).trim(), true
}

// nameLength returns the length of the name that a text begins with.
func nameLength(s string) int {
	for i := range len(s) {
		c := s[i]
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return i
		}
	}
	return len(s)
}
