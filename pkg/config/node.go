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

// reader collects the problems of one file during parsing.
type reader struct {
	name            string       // of the file, for its problems
	file            *clusterFile // the keys it may have
	problems        Problems
	errors          int // problems found, of which the first are kept; warnings likewise
	warnings        int
	confusableLines map[int]bool // lines with a confusable character: further problems there are consequences of it
	values          int          // read so far
	cut             bool         // reading stopped before the end
}

// add keeps the first maxProblems errors, and as many warnings, which make no file invalid however many there are.
func (r *reader) add(p Problem) {
	count, what := &r.errors, "problems"
	if p.Warning {
		count, what = &r.warnings, "warnings"
	}
	*count++
	if *count > maxProblems+1 {
		return
	}
	if *count > maxProblems {
		p = Problem{Line: p.Line, Column: p.Column, Warning: p.Warning, Message: fmt.Sprintf("more than %d %s: the rest is not shown", maxProblems, what)}
	}
	p.File = r.name
	r.problems = append(r.problems, p)
}

// value is a node of the file with its position and path. Its typed readers (text, whole, duration, ...) report a
// problem and then return the zero value, which rules across values ignore.
type value struct {
	r    *reader
	node *yaml.Node
	// place is the node at whose position problems are reported: the node itself or the alias that refers to it.
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

// exhausted reports that the rest of the file is not read: it has too many values because of nested aliases, or too
// many errors already.
func (v value) exhausted() bool {
	if v.r.values > maxValues && !v.r.cut {
		v.fail("", "the file has more than %d values, counting each as often as an alias repeats it", maxValues)
		v.r.cut = true // keys missing from here on are missing because they are not read
	}
	return v.r.cut || v.r.errors > maxProblems
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
	if v.r.cut || v.r.confusableLines[v.place.Line] {
		return
	}
	v.r.add(Problem{
		Line: v.place.Line, Column: v.place.Column, Path: v.path, Message: message, Hint: hint, Warning: warning,
	})
}

// found describes v, for "want a number, found a list".
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
		return "the number " + readable(v.node.Value)
	case "!!bool":
		return "the boolean " + readable(v.node.Value)
	case "!!str":
		return "text " + quote(v.node.Value)
	default:
		return readable(v.node.ShortTag()) + " " + quote(v.node.Value)
	}
}

// readable returns s, or quoted if it is long or has characters that need that, such as a tag with %00.
func readable(s string) string {
	if q := quote(s); q != `"`+s+`"` {
		return q
	}
	return s
}

// quote returns s in quotes, shortened and without control characters.
func quote(s string) string {
	const most = 60
	if runes := []rune(s); len(runes) > most {
		s = string(runes[:most]) + "…"
	}
	return strconv.Quote(s)
}

// entries returns the items of a list that was read before; none if it is not a list.
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

// items reads a list; what describes an item.
func (v value) items(what string) []value {
	if v.node.Kind != yaml.SequenceNode {
		v.fail("", "want a list of %s, found %s", what, v.found())
		return nil
	}
	return v.entries()
}

// notEmpty reports an empty list.
func (v value) notEmpty(want string) {
	if v.node.Kind == yaml.SequenceNode && len(v.node.Content) == 0 {
		v.fail("", "is empty: want %s", want)
	}
}

// text reads a non-empty string.
func (v value) text() string {
	switch {
	case v.node.Kind == yaml.ScalarNode && v.node.ShortTag() == "!!str":
		if v.node.Value == "" {
			v.fail("", "is empty")
		}
		return v.node.Value
	case v.node.Kind == yaml.ScalarNode && v.node.ShortTag() != "!!null":
		v.fail("put it in quotes: "+quote(v.node.Value), "want text, found %s", v.found())
	default:
		v.fail("", "want text, found %s", v.found())
	}
	return ""
}

// isName reports whether s matches namePattern.
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
	v.fail("", "%s is not a name: a name has letters, digits, '.', '_' and '-' only%s", quote(s), nonASCII(s))
	return ""
}

// vocabulary is the set of words that a key accepts.
type vocabulary struct {
	what     string // "a scheduler"
	words    []string
	reserved []string          // for a later version
	synonyms map[string]string // in lower case: words of other tools
}

// oneOf reads a word from a vocabulary.
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
	v.fail(hint, "%s is not %s: want %s%s", quote(s), voc.what, enumerate(voc.words, "or"), nonASCII(s))
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

// boolean reads true or false; it returns def for anything else.
func (v value) boolean(def bool) bool {
	if v.node.Kind == yaml.ScalarNode && v.node.ShortTag() == "!!bool" {
		return strings.EqualFold(v.node.Value, "true")
	}
	v.fail(v.booleanHint(), "want true or false, found %s", v.found())
	return def
}

// booleanHint is the hint for words that other formats and YAML 1.1 accept as booleans.
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

// whole reads an integer from low to high.
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
		v.fail(hint, "%s is not a whole number in plain decimal digits", readable(v.node.Value))
		return 0, false
	}
	number, err := strconv.ParseInt(v.node.Value, 10, 64)
	if err != nil || number < int64(low) || number > int64(high) {
		v.fail("", "%s is out of range: %d to %d", readable(shorten(v.node.Value)), low, high)
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
		v.fail(hint, "%s is not a duration: a number and one of the units ms, s, m, h, for example 5s%s", quote(s), nonASCII(s))
		return 0, false
	}
	if d < low || d > high {
		v.fail("", "%s is out of range: %s to %s", s, span(low), span(high))
		return 0, false
	}
	return d, true
}

// seconds reads a duration in whole seconds.
func (v value) seconds(low, high time.Duration) (time.Duration, bool) {
	d, ok := v.duration(low, high)
	if ok && d%time.Second != 0 {
		v.fail("", "%s is not a whole number of seconds", readable(v.node.Value))
		return 0, false
	}
	return d, ok
}

// span formats a duration in its shortest form: 5s, 1h, 100ms.
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
