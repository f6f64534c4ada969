package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// reader collects the problems of one file while its values are read.
type reader struct {
	name     string       // of the file, for its problems
	file     *clusterFile // what may stand in it
	problems Problems
	oddLines map[int]bool // lines with a look-alike: what else is wrong in them is only its echo
	values   int          // looked at so far
	cut      bool         // more values than are read
}

func (r *reader) add(p Problem) {
	if len(r.problems) == maxProblems {
		p = Problem{Line: p.Line, Column: p.Column, Message: fmt.Sprintf("more than %d problems: the rest is not shown", maxProblems)}
	}
	if len(r.problems) > maxProblems {
		return
	}
	p.File = r.name
	r.problems = append(r.problems, p)
}

// value is a node of the file, where it was found and the path that leads to it. Its typed readers (text, whole, duration, ...) report what
// is wrong and then return the zero value, which no rule across values looks at.
type value struct {
	r    *reader
	node *yaml.Node
	// place is where problems are reported: the node, or the alias that stands for it.
	place *yaml.Node
	path  string
}

// at returns the value of a node inside v, following an alias.
func (v value) at(node *yaml.Node, path string) value {
	place := node
	for node.Kind == yaml.AliasNode && node.Alias != nil {
		node = node.Alias
	}
	v.r.values++
	return value{r: v.r, node: node, place: place, path: path}
}

// exhausted says that the rest of the file is not worth reading: aliases of aliases made it larger than its text, or too
// much is wrong with it already.
func (v value) exhausted() bool {
	if v.r.values > maxValues && !v.r.cut {
		v.fail("", "the file has more than %d values, counting each as often as an alias repeats it", maxValues)
		v.r.cut = true // what is missing from now on is missing because it is not read
	}
	return v.r.cut || len(v.r.problems) > maxProblems
}

// fail reports an error at v.
func (v value) fail(hint, format string, args ...any) {
	v.report(false, hint, fmt.Sprintf(format, args...))
}

func (v value) position() Position {
	return Position{Line: v.place.Line, Column: v.place.Column, Path: v.path}
}

// warn reports a warning at v.
func (v value) warn(hint, format string, args ...any) {
	v.report(true, hint, fmt.Sprintf(format, args...))
}

func (v value) report(warning bool, hint, message string) {
	if v.r.cut || v.r.oddLines[v.place.Line] {
		return
	}
	v.r.add(Problem{
		Line: v.place.Line, Column: v.place.Column, Path: v.path, Message: message, Hint: hint, Warning: warning,
	})
}

// found describes what stands at v, for "want a number, found a list".
func (v value) found() string {
	switch v.node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch v.node.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!int", "!!float":
		return "the number " + v.node.Value
	case "!!bool":
		return "the boolean " + v.node.Value
	case "!!str":
		return "text " + quote(v.node.Value)
	default:
		return v.node.ShortTag() + " " + quote(v.node.Value)
	}
}

// quote returns s in quotes, short enough for a line and without control characters.
func quote(s string) string {
	const most = 60
	if runes := []rune(s); len(runes) > most {
		s = string(runes[:most]) + "…"
	}
	return strconv.Quote(s)
}

// entries returns the values of a list that was read before; none if it is no list.
func (v value) entries() []value {
	if v.node.Kind != yaml.SequenceNode {
		return nil
	}
	list := make([]value, 0, len(v.node.Content))
	for i, node := range v.node.Content {
		item := v.at(node, v.path+"["+strconv.Itoa(i)+"]")
		if item.exhausted() {
			break
		}
		list = append(list, item)
	}
	return list
}

// items reads a list; what describes one of them.
func (v value) items(what string) []value {
	if v.node.Kind != yaml.SequenceNode {
		v.fail("", "want a list of %s, found %s", what, v.found())
		return nil
	}
	return v.entries()
}

// notEmpty reports a list that is one and has nothing in it.
func (v value) notEmpty(want string) {
	if v.node.Kind == yaml.SequenceNode && len(v.node.Content) == 0 {
		v.fail("", "is empty: want %s", want)
	}
}

// text reads a string that is not empty.
func (v value) text() string {
	switch {
	case v.node.Kind == yaml.ScalarNode && v.node.ShortTag() == "!!str":
		if v.node.Value == "" {
			v.fail("", "is empty")
		}
		return v.node.Value
	case v.node.Kind == yaml.ScalarNode && v.node.ShortTag() != "!!null":
		v.fail(`put it in quotes: "`+v.node.Value+`"`, "want text, found %s", v.found())
	default:
		v.fail("", "want text, found %s", v.found())
	}
	return ""
}

// isName says whether s has the form of namePattern.
func isName(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return s != "" && len(s) <= 63
}

// name reads the name of a node, an instance, a virtual server.
func (v value) name() string {
	s := v.text()
	if s == "" || isName(s) {
		return s
	}
	if len(s) > 63 {
		v.fail("", "%s has %d bytes: a name has at most 63", quote(s), len(s))
		return ""
	}
	v.fail("", "%s is not a name: a name has letters, digits, '.', '_' and '-' only%s", quote(s), oddity(s))
	return ""
}

// vocabulary is the set of words that a key takes.
type vocabulary struct {
	what     string // "a scheduler"
	words    []string
	reserved []string          // for a later version
	synonyms map[string]string // in lower case: words of other tools
}

// later says which words are reserved, for the reference.
func (voc vocabulary) later() string {
	return enumerate(quoted(voc.reserved), "and") + " are reserved"
}

// oneOf reads a word of a vocabulary.
func (v value) oneOf(voc vocabulary) string {
	s := v.text()
	switch {
	case s == "" || slices.Contains(voc.words, s):
		return s
	case slices.Contains(voc.reserved, s):
		v.fail("", "%s is reserved: this version supports %s only", s, enumerate(voc.words, "and"))
		return ""
	}
	hint := didYouMean(s, voc.words)
	if w := voc.synonyms[strings.ToLower(s)]; w != "" {
		hint = "did you mean " + w + "?"
	}
	v.fail(hint, "%s is not %s: want %s%s", quote(s), voc.what, enumerate(voc.words, "or"), oddity(s))
	return ""
}

// enumerate joins words as "a, b or c".
func enumerate(words []string, and string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " " + and + " " + words[last]
}

// boolean reads true or false; def is returned for anything else.
func (v value) boolean(def bool) bool {
	if v.node.Kind == yaml.ScalarNode && v.node.ShortTag() == "!!bool" {
		return strings.EqualFold(v.node.Value, "true")
	}
	v.fail(v.booleanHint(), "want true or false, found %s", v.found())
	return def
}

// booleanHint is for the words that other formats, and YAML 1.1, take for booleans.
func (v value) booleanHint() string {
	switch word := strings.ToLower(v.node.Value); {
	case v.node.Kind != yaml.ScalarNode:
	case word == "true", word == "false":
		return "remove the quotes"
	case slices.Contains([]string{"yes", "y", "on", "1"}, word):
		return "write true"
	case slices.Contains([]string{"no", "n", "off", "0"}, word):
		return "write false"
	}
	return ""
}

var plainNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)

// whole reads a whole number from low to high.
func (v value) whole(low, high int) (n int, ok bool) {
	tag := v.node.ShortTag()
	switch {
	case v.node.Kind != yaml.ScalarNode, tag != "!!int" && tag != "!!float":
		hint := ""
		if v.node.Kind == yaml.ScalarNode && plainNumber.MatchString(v.node.Value) {
			hint = "remove the quotes"
		}
		v.fail(hint, "want a whole number, found %s", v.found())
		return 0, false
	case !plainNumber.MatchString(v.node.Value):
		hint := ""
		if plain := strings.TrimLeft(v.node.Value, "0"); plainNumber.MatchString(plain) {
			hint = "write " + plain
		}
		v.fail(hint, "%s is not a whole number in plain decimal digits", v.node.Value)
		return 0, false
	}
	number, err := strconv.ParseInt(v.node.Value, 10, 64)
	if err != nil || number < int64(low) || number > int64(high) {
		v.fail("", "%s is out of range: %d to %d", shorten(v.node.Value), low, high)
		return 0, false
	}
	return int(number), true
}

func shorten(s string) string {
	if len(s) > 24 {
		return s[:24] + "…"
	}
	return s
}

var spacedUnit = regexp.MustCompile(`^([0-9.]+)\s*(ms|s|m|h)[a-z]*$`)

// duration reads a duration with a unit, from low to high.
func (v value) duration(low, high time.Duration) (d time.Duration, ok bool) {
	if v.node.Kind != yaml.ScalarNode {
		v.fail("", "want a duration such as 5s, found %s", v.found())
		return 0, false
	}
	s := v.node.Value
	switch tag := v.node.ShortTag(); {
	case tag == "!!null":
		v.fail("", "want a duration such as 5s, found nothing")
		return 0, false
	case tag == "!!int", tag == "!!float", plainNumber.MatchString(strings.TrimPrefix(s, "+")):
		v.fail("", "%s needs a unit, for example %ss", shorten(s), shorten(s))
		return 0, false
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		hint := ""
		if m := spacedUnit.FindStringSubmatch(s); m != nil {
			hint = "write " + m[1] + m[2]
		}
		v.fail(hint, "%s is not a duration: a number and one of the units ms, s, m, h, for example 5s%s", quote(s), oddity(s))
		return 0, false
	}
	if d < low || d > high {
		v.fail("", "%s is out of range: %s to %s", s, span(low), span(high))
		return 0, false
	}
	return d, true
}

// seconds reads a duration that must be whole seconds because the field that it ends up in counts seconds.
func (v value) seconds(low, high time.Duration) (time.Duration, bool) {
	d, ok := v.duration(low, high)
	if ok && d%time.Second != 0 {
		v.fail("", "%s is not a whole number of seconds", v.node.Value)
		return 0, false
	}
	return d, ok
}

// span prints a duration as a person writes it: 5s, 1h, 100ms.
func span(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
