package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// MaxBytes is the maximum size of a cluster file. A cluster of ten thousand real servers takes less than 1 MiB; the YAML
// parser needs about a hundred bytes of memory per byte of text.
const MaxBytes = 2 << 20

// TooLarge is the message about a file of more than MaxBytes.
func TooLarge() string {
	return fmt.Sprintf("larger than %d MiB, the limit of a cluster file", MaxBytes>>20)
}

// Other limits of the input.
const (
	maxValues   = 1 << 20 // values read, aliases expanded: an alias may refer to a large part of the file
	maxProblems = 1000    // errors, and as many warnings
	// maxSearched is the size up to which a syntax error is located exactly, by about twenty attempts to parse.
	maxSearched = 512 << 10
)

// document returns the root of a cluster file, or nil if it is not a single YAML document.
func (r *reader) document(data []byte) *yaml.Node {
	if len(data) > MaxBytes {
		r.add(Problem{Line: 1, Column: 1, Message: TooLarge()})
		return nil
	}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		r.add(Problem{Line: 1, Column: 1, Message: "the file is UTF-16", Hint: "save it as UTF-8"})
		return nil
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if i := invalidUTF8(data); i >= 0 {
		line, column := position(data, i)
		r.add(Problem{
			Line: line, Column: column,
			Message: fmt.Sprintf("byte 0x%02X is not UTF-8", data[i]), Hint: "save the file as UTF-8",
		})
		return nil
	}
	if m := keepalivedBlock.FindIndex(data); m != nil {
		line, column := position(data, m[0])
		r.add(Problem{
			Line: line, Column: column,
			Message: "this is a keepalived.conf", Hint: "a cluster file is YAML and begins with version: 1",
		})
		return nil
	}
	text := asYAML11(r.normalize(data))
	root, second, err := decode(text)
	switch {
	case err != nil:
		// A confusable character is the usual cause; the syntax error is then only a consequence.
		if len(r.problems) == 0 {
			r.add(syntaxProblem(text, err))
		}
		return nil
	case second != nil:
		r.add(Problem{
			Line: second.Line, Column: second.Column,
			Message: "a second document starts here: a cluster file is one document", Hint: "remove the line ---",
		})
		return nil
	case root == nil:
		r.add(Problem{Line: 1, Column: 1, Message: "the file is empty", Hint: "it begins with version: 1"})
		return nil
	}
	return root
}

// keepalivedBlock matches the first line of a block that every keepalived.conf has.
var keepalivedBlock = regexp.MustCompile(`(?m)^(global_defs|vrrp_instance|vrrp_script|virtual_server|virtual_server_group)\b[^\n:#]*\{`)

// yaml12 matches the directive of YAML 1.2 before the document, after comments and other directives.
var yaml12 = regexp.MustCompile(`\A(?:(?:[ \t\r]*(?:#[^\n]*)?|%[^\n]*)\n)*?%YAML[ \t]+(1\.2)[ \t\r]*(?:#[^\n]*)?\n`)

// asYAML11 accepts the directive %YAML 1.2, which the library refuses although it reads what a cluster file may contain
// in the same way. Positions do not change.
func asYAML11(text []byte) []byte {
	found := yaml12.FindSubmatchIndex(text)
	if found == nil {
		return text
	}
	text = bytes.Clone(text)
	text[found[3]-1] = '1'
	return text
}

// decode parses text as YAML. root is nil if it is empty, second is the start of a second document or nil. Both are
// syntax nodes: duplicate keys and aliases are preserved.
func decode(text []byte) (root, second *yaml.Node, err error) {
	// The library reports syntax errors by panics that it recovers itself. Any other panic is a bug in the library, and
	// must not stop a daemon that is reloading.
	defer func() {
		if p := recover(); p != nil {
			root, second, err = nil, nil, fmt.Errorf("the YAML reader gave up: %v", p)
		}
	}()
	var documents [2]yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for i := range documents {
		if err := decoder.Decode(&documents[i]); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, nil, err
		}
	}
	if documents[1].Kind != 0 {
		second = &documents[1]
	}
	if len(documents[0].Content) == 1 && documents[0].Content[0].ShortTag() != "!!null" {
		root = documents[0].Content[0]
	}
	return root, second, nil
}

var yamlPrefix = regexp.MustCompile(`^yaml: (line [0-9]+: )?`)

// syntaxProblem locates a syntax error. The library reports at best a line, often that of the enclosing mapping or the
// line before. But a prefix of the text fails in the same way as soon as it contains the error, so a binary search
// finds it.
func syntaxProblem(text []byte, err error) Problem {
	message := yamlPrefix.ReplaceAllString(err.Error(), "")
	p := Problem{Line: 1, Column: 1, Message: "not YAML: " + message, Hint: syntaxHints[message]}
	if len(text) > maxSearched {
		var line int
		if n, _ := fmt.Sscanf(err.Error(), "yaml: line %d:", &line); n == 1 {
			p.Line = max(1, min(line, bytes.Count(text, []byte("\n"))+1))
		}
		return p
	}
	fails := func(n int) bool {
		_, _, err := decode(text[:n])
		return err != nil && yamlPrefix.ReplaceAllString(err.Error(), "") == message
	}
	good, bad := 0, len(text)
	for bad-good > 1 {
		middle := (good + bad) / 2
		for middle > good && !utf8.RuneStart(text[middle]) {
			middle--
		}
		if middle == good { // a single multi-byte character is left
			break
		}
		if fails(middle) {
			bad = middle
		} else {
			good = middle
		}
	}
	p.Line, p.Column = position(text, good)
	if at := unclosed(text); at >= 0 && strings.HasPrefix(message, notClosed) {
		// Each prefix that ends within braces fails in this way, so the search may have found another pair.
		p.Line, p.Column = position(text, at)
	}
	return p
}

// notClosed begins what the library says of a bracket or brace that is not closed.
const notClosed = "did not find expected ',' or "

// unclosed returns the offset of the first bracket or brace that is open at the end of the text; -1 if there is none. Those in
// quotes and comments do not count.
func unclosed(text []byte) int {
	var open []int
	quote, before := byte(0), byte('\n') // before: the last character that is no space; a line break begins anew
	for i, c := range text {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '#' && (i == 0 || text[i-1] == ' ' || text[i-1] == '\n'):
			quote = '\n' // up to the end of the line
		case (c == '"' || c == '\'') && bytes.IndexByte([]byte("{[,:-\n"), before) >= 0:
			quote = c
		case c == '{' || c == '[':
			open = append(open, i)
		case (c == '}' || c == ']') && len(open) > 0:
			open = open[:len(open)-1]
		}
		if c != ' ' {
			before = c
		}
	}
	if len(open) == 0 {
		return -1
	}
	return open[0]
}

// syntaxHints are the usual causes of the YAML library's messages.
var syntaxHints = map[string]string{
	"found incompatible YAML document":                       "the directive may say %YAML 1.1 or 1.2",
	"mapping values are not allowed in this context":         "a second colon in the line, or a line indented too far; text with a colon needs quotes",
	"could not find expected ':'":                            "a key needs a colon and a space after it",
	"found unexpected end of stream":                         "a quote is not closed",
	"did not find expected ',' or ']'":                       "a [ is not closed",
	"did not find expected ',' or '}'":                       "a { is not closed",
	"did not find expected key":                              "check the indentation of this line against the lines above",
	"did not find expected '-' indicator":                    "check the indentation of this line against the lines above",
	"found character that cannot start any token":            "text that begins with this character needs quotes",
	"did not find expected alphabetic or numeric character":  "text that begins with * or & needs quotes",
	"block sequence entries are not allowed in this context": "start the list on a new line",
}

// invalidUTF8 returns the offset of the first byte that is not part of a UTF-8 character, or -1.
func invalidUTF8(data []byte) int {
	for i := 0; i < len(data); {
		c, size := utf8.DecodeRune(data[i:])
		if c == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}
