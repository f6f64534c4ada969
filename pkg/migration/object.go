package migration

import (
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/lvs-director/lvs-director/pkg/conftree"
)

// entry is a key of an object of the cluster file.
type entry struct {
	key     string
	value   *yaml.Node
	at      *conftree.Statement // what it comes from; nil for what was added
	comment string
}

// object is a mapping of the cluster file.
type object struct {
	at       *conftree.Statement
	entries  []entry
	comments []string
}

func (o *object) get(key string) *entry {
	for i := range o.entries {
		if o.entries[i].key == key {
			return &o.entries[i]
		}
	}
	return nil
}

// text returns the scalar of a key, or "".
func (o *object) text(key string) string {
	if e := o.get(key); e != nil {
		return e.value.Value
	}
	return ""
}

func (o *object) remove(key string) {
	o.entries = slices.DeleteFunc(o.entries, func(e entry) bool { return e.key == key })
}

// set sets a key; the last one counts, as in keepalived.
func (r *reader) set(o *object, key string, value any, at *conftree.Statement) {
	e := entry{key: key, value: encode(value), at: at}
	if at != nil {
		e.comment = at.Trailing
	}
	before := o.get(key)
	if before == nil {
		o.entries = append(o.entries, e)
		return
	}
	if before.at != nil && at != nil && before.at != at {
		r.judge(before.at, NoEffect, "line %d replaces it", at.At().Line)
	}
	*before = e
}

// add adds a key that is not there yet.
func (o *object) add(key string, value any) {
	if o.get(key) == nil {
		o.entries = append(o.entries, entry{key: key, value: encode(value)})
	}
}

// sort brings the keys into the order of the list; others follow.
func (o *object) sort(order ...string) {
	rank := func(key string) int {
		if i := slices.Index(order, key); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortStableFunc(o.entries, func(a, b entry) int { return rank(a.key) - rank(b.key) })
}

// blocks are mappings with one key per line.
type blocks []*object

// quoted are texts that are quoted although YAML would read them as text.
type quoted string

// encode returns the YAML of a value.
func encode(value any) *yaml.Node {
	switch v := value.(type) {
	case *yaml.Node:
		return v
	case *object:
		return v.node(true)
	case []*object:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for _, o := range v {
			n.Content = append(n.Content, o.node(len(o.comments) == 0 && o.flat()))
		}
		return n
	case blocks:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for _, o := range v {
			n.Content = append(n.Content, o.node(false))
		}
		return n
	case []string:
		n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, s := range v {
			n.Content = append(n.Content, encode(s))
		}
		return n
	case quoted:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: string(v), Style: yaml.DoubleQuotedStyle}
	case int:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(v)}
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(v)}
	case string:
		n := &yaml.Node{}
		n.SetString(strings.ToValidUTF8(v, "?"))
		return n
	}
	panic("migration: a value of an unknown type")
}

// flat reports whether the object fits into one line.
func (o *object) flat() bool {
	for _, e := range o.entries {
		if e.comment != "" || e.value.Kind != yaml.ScalarNode && e.value.Style != yaml.FlowStyle {
			return false
		}
	}
	return true
}

func (o *object) node(flow bool) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, HeadComment: commentText(o.comments...)}
	if flow {
		n.Style = yaml.FlowStyle
	}
	for _, e := range o.entries {
		key := encode(e.key)
		value := *e.value
		if value.Kind == yaml.ScalarNode || value.Style == yaml.FlowStyle && len(value.Content) > 0 {
			value.LineComment = commentText(e.comment)
		} else {
			key.HeadComment = commentText(e.comment)
		}
		n.Content = append(n.Content, key, &value)
	}
	return n
}

// commentText returns comments in the form of YAML; "" for none. Those with a password are left out, because everybody can read
// the cluster file.
func commentText(comments ...string) string {
	var lines []string
	for _, c := range comments {
		if secretAt(c, true) >= 0 {
			continue
		}
		c = strings.Map(func(r rune) rune {
			if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\ufeff' || r == '\u2028' || r == '\u2029' || r == '\ufffd' || r == 0xfffe || r == 0xffff {
				return ' '
			}
			return r
		}, strings.ToValidUTF8(c, "?"))
		if c = strings.TrimSpace(c); c != "" {
			lines = append(lines, "# "+c)
		}
	}
	return strings.Join(lines, "\n")
}

// fingerprint returns a text that is the same for equal values, without their comments.
func fingerprint(n *yaml.Node) string {
	var b strings.Builder
	writeFingerprint(&b, n)
	return b.String()
}

func writeFingerprint(b *strings.Builder, n *yaml.Node) {
	b.WriteString(strconv.Quote(n.Value))
	b.WriteByte('[')
	for _, inner := range n.Content {
		writeFingerprint(b, inner)
	}
	b.WriteByte(']')
}
