package config

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// section is one kind of mapping in the cluster file, without the Go types of its values.
type section struct {
	name  string // the key that holds it; "" for the file itself
	part  bool   // its heading is below that of the containing section
	place string // for "it belongs to virtual_servers"; "" means the name
	what  string // for "want a director with name and address, found ..."
	intro string // text before the table in the reference
	notes string // text after the table

	keys     []*declaration // in the order of the reference
	reserved []later
	words    []word        // without a corresponding key
	schema   func() Schema // in addition to the schemas of the keys; nil for none

	known map[string]*declaration
}

// sectionOf is a section whose mappings are read into an S.
type sectionOf[S any] struct {
	section
	fields []key[S]
	// rules validates combinations of keys and fills in the values that depend on them.
	rules func(s *S, o object)
}

// build completes a section literal that has names, texts and fields.
func (s *sectionOf[S]) build() *sectionOf[S] {
	for _, f := range s.fields {
		s.keys = append(s.keys, f.declare())
	}
	s.index()
	return s
}

// include adds the keys of another reader of the same mappings.
func (s *sectionOf[S]) include(keys []*declaration) {
	s.keys = append(s.keys, keys...)
	s.index()
}

func (s *section) index() {
	s.known = make(map[string]*declaration, len(s.keys))
	for _, d := range s.keys {
		s.known[d.name], d.others = d, nil
	}
	for _, d := range s.keys {
		for _, other := range d.instead {
			s.known[other].others = append(s.known[other].others, d.name)
		}
	}
}

// foreign returns the word that name, in lower case, is. A later declaration wins, and those of keys over those of the section.
// Words are looked up where they are needed, because a map of all of them would be made for every file that is read.
func (s *section) foreign(name string) (found word, ok bool) {
	look := func(words []word, key string) {
		for _, w := range words {
			if slices.Contains(w.names, name) {
				found, ok = w.of(key), true
			}
		}
	}
	look(s.words, "")
	for _, d := range s.keys {
		look(d.words, d.name)
	}
	return found, ok
}

// at is the location of the section, for messages.
func (s *section) at() string {
	if s.place != "" {
		return s.place
	}
	return s.name
}

func (s *section) names() []string {
	var names []string
	for _, d := range s.keys {
		names = append(names, d.name)
	}
	return names
}

// walk calls f once for the section and each section inside it, outer sections first. Sections for single nodes are
// skipped: they are part of their own section.
func (s *section) walk(f func(*section)) {
	seen := map[*section]bool{}
	var visit func(*section)
	visit = func(s *section) {
		if seen[s] {
			return
		}
		seen[s] = true
		f(s)
		for _, d := range s.keys {
			if d.form.inside != nil && d.form.many != byNode {
				visit(d.form.inside)
			}
		}
	}
	visit(s)
}

// take reads the keys of a mapping in the order of their declaration.
func (s *sectionOf[S]) take(o object, into *S) {
	for _, d := range s.keys {
		if _, given := o.fields[d.name]; given {
			for _, other := range d.instead {
				o.meant[other] = true
			}
		}
	}
	for i, f := range s.fields {
		d := s.keys[i]
		v, given := o.fields[d.name]
		switch {
		case given:
			f.read(v, into)
		case d.required == "":
			f.fill(into)
		case !o.meant[d.name]:
			o.locate(d.name).fail("", "is required: %s", d.required)
		}
	}
	if s.rules != nil {
		s.rules(into, o)
	}
}

// given reads the keys that a mapping has and leaves the others unchanged.
func (s *sectionOf[S]) given(o object, into *S) {
	for i, f := range s.fields {
		if v, ok := o.fields[s.keys[i].name]; ok {
			f.read(v, into)
		}
	}
}

// each reads a list of mappings; what describes an item.
func (s *sectionOf[S]) each(v value, what string, start S) []placed[S] {
	items := v.items(what)
	list := make([]placed[S], 0, len(items)) // must not be reallocated: values may point into it
	for _, item := range items {
		if o, ok := item.object(&s.section); ok {
			list = append(list, placed[S]{v: start, at: o})
			s.take(o, &list[len(list)-1].v)
		}
	}
	return list
}

// change returns the most disruptive effect among the keys that differ.
func change[S any](fields []key[S], before, after *S) Reload {
	gravest := Same
	for _, f := range fields {
		if !f.same(before, after) {
			gravest = max(gravest, f.declare().reload)
		}
	}
	return gravest
}

// object is a mapping whose keys have been checked against its section.
type object struct {
	value
	fields map[string]value
	meant  map[string]bool // keys that are present under another word
}

func (v value) child(key string) string {
	if !isName(key) {
		key = quote(key)
	}
	if v.path == "" {
		return key
	}
	return v.path + "." + key
}

// pairs calls f for each key of a mapping, at the position of the key, and reports repeated keys and keys that are not
// text.
func (v value) pairs(what string, f func(key string, at, field value)) bool {
	if v.node.Kind != yaml.MappingNode {
		v.fail("", "want %s, found %s", what, v.found())
		return false
	}
	first := make(map[string]int, len(v.node.Content)/2)
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		keyNode := v.node.Content[i]
		at := v.at(keyNode, v.path)
		if at.exhausted() {
			return true
		}
		switch {
		case keyNode.ShortTag() == "!!merge":
			at.fail("write the keys out", "merge keys (<<) are not supported")
			continue
		case keyNode.Kind != yaml.ScalarNode:
			at.fail("", "want a key, found %s", at.found())
			continue
		}
		key := keyNode.Value
		at.path = v.child(key)
		if line, ok := first[key]; ok {
			at.fail("", "is given twice, first in line %d", line)
			continue
		}
		first[key] = keyNode.Line
		f(key, at, v.at(v.node.Content[i+1], at.path))
	}
	return true
}

// object reads a mapping. ok is false if v is not a mapping.
func (v value) object(s *section) (o object, ok bool) {
	o = object{value: v, fields: map[string]value{}, meant: map[string]bool{}}
	ok = v.pairs(s.what, func(key string, at, field value) {
		if s.known[key] != nil {
			o.fields[key] = field
			return
		}
		o.refuse(key, at, s)
	})
	return o, ok
}

// refuse reports a key that the section does not have.
func (o object) refuse(key string, at value, s *section) {
	var candidates []string
	for _, r := range s.reserved {
		if r.name == key {
			for _, other := range r.instead {
				o.meant[other] = true
			}
			at.fail("remove it", "%s is reserved: this version does not support it yet", key)
			return
		}
		candidates = append(candidates, r.name)
	}
	if w, ok := s.foreign(strings.ToLower(key)); ok {
		o.meant[w.instead] = true
		at.fail(w.hint, "%s", w.message)
		return
	}
	if guess := Nearest(key, append(s.names(), candidates...)); guess != "" {
		o.meant[guess] = true
		at.fail("did you mean "+guess+"?", "unknown key%s", nonASCII(key))
		return
	}
	for _, other := range o.r.file.sections {
		if other != s && other.known[key] != nil {
			at.fail("it belongs to "+other.at(), "unknown key")
			return
		}
	}
	at.fail("known here: "+strings.Join(s.names(), ", "), "unknown key%s", nonASCII(key))
}

// locate returns the value of key, or, if it is missing, the mapping itself with the path that the key would have.
func (o object) locate(key string) value {
	if v, ok := o.fields[key]; ok {
		return v
	}
	v := o.value
	v.path = o.child(key)
	return v
}

// missing reports that key is absent, also under another word.
func (o object) missing(key string) bool {
	_, given := o.fields[key]
	return !given && !o.meant[key]
}

// peek returns the value at a path of keys below v and reports nothing.
func (v value) peek(path ...string) (value, bool) {
	for _, key := range path {
		if v.node.Kind != yaml.MappingNode {
			return value{}, false
		}
		found := false
		for i := 0; i+1 < len(v.node.Content) && !found; i += 2 {
			if v.node.Content[i].Value == key {
				v, found = v.at(v.node.Content[i+1], v.child(key)), true
			}
		}
		if !found {
			return value{}, false
		}
	}
	return v, true
}

// placed is a value with its position, for the rules across values.
type placed[T any] struct {
	v  T
	at object
}

// unique reports every name or address that an earlier item of the list has too; zero values are ignored.
func unique[T any, K comparable](list []placed[T], key string, of func(T) K) {
	first := map[K]int{}
	var zero K
	for _, p := range list {
		k := of(p.v)
		if k == zero {
			continue
		}
		v := p.at.locate(key)
		if line, ok := first[k]; ok {
			v.fail("", "%v is used twice, first in line %d", k, line)
			continue
		}
		first[k] = v.place.Line
	}
}
