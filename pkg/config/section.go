package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// section describes one kind of mapping of the cluster file.
type section struct {
	// place is where it stands, for "belongs to virtual_servers".
	place string
	// keys are the ones that this version reads, in the order of the documentation.
	keys []string
	// reserved have a meaning laid down for a later version. They are refused: a file that names a sorry server must not
	// run without one.
	reserved []string
	// words are other keys that people are likely to write here.
	words map[string]word
}

// word is a key that is none, and what to say about it.
type word struct {
	message string
	hint    string
	// instead is the key that was meant, if there is exactly one; it is then not reported as missing.
	instead string
}

// object is a mapping whose keys were checked against its section.
type object struct {
	value
	fields map[string]value
	meant  map[string]bool // keys that are there under a wrong word
}

var plainKey = regexp.MustCompile(`^[A-Za-z0-9._-]{1,63}$`)

func (v value) child(key string) string {
	if !plainKey.MatchString(key) {
		key = quote(key)
	}
	if v.path == "" {
		return key
	}
	return v.path + "." + key
}

// pairs calls f for each key of a mapping, at the position of the key, and reports keys that are not text or repeated.
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

// object reads a mapping; what names it in messages. ok is false if v is no mapping at all.
func (v value) object(what string, s *section) (o object, ok bool) {
	o = object{value: v, fields: map[string]value{}, meant: map[string]bool{}}
	ok = v.pairs(what, func(key string, at, field value) {
		if slices.Contains(s.keys, key) {
			o.fields[key] = field
			return
		}
		o.refuse(key, at, s)
	})
	return o, ok
}

func (o object) refuse(key string, at value, s *section) {
	if slices.Contains(s.reserved, key) {
		if key == "fwmark" {
			o.meant["address"], o.meant["port"] = true, true
		}
		at.fail("remove it", "%s is reserved: this version does not support it yet", key)
		return
	}
	if w, ok := s.words[strings.ToLower(key)]; ok {
		o.meant[w.instead] = true
		at.fail(w.hint, "%s", w.message)
		return
	}
	candidates := slices.Concat(s.keys, s.reserved)
	if guess := nearest(key, candidates); guess != "" {
		o.meant[guess] = true
		at.fail("did you mean "+guess+"?", "unknown key%s", oddity(key))
		return
	}
	for _, other := range sections() {
		if other != s && slices.Contains(other.keys, key) {
			at.fail("it belongs to "+other.place, "unknown key")
			return
		}
	}
	at.fail("known here: "+strings.Join(s.keys, ", "), "unknown key%s", oddity(key))
}

// locate returns the value of key, or, if there is none, the mapping itself under the path that the key would have.
func (o object) locate(key string) value {
	if v, ok := o.fields[key]; ok {
		return v
	}
	v := o.value
	v.path = o.child(key)
	return v
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

// required reads a key that has no default; want says what it would hold.
func required[T any](o object, key, want string, read func(value) T) T {
	v, ok := o.fields[key]
	if !ok {
		if !o.meant[key] {
			o.locate(key).fail("", "is required: %s", want)
		}
		var zero T
		return zero
	}
	return read(v)
}

// optional reads a key that has a default.
func optional[T any](o object, key string, def T, read func(value) T) T {
	if v, ok := o.fields[key]; ok {
		return read(v)
	}
	return def
}

// placed is a value that was read and where it stands, for the rules across values.
type placed[T any] struct {
	v  T
	at object
}

// unique reports every name or address that an earlier entry of the same list has; the zero value is no name.
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

// count prints a number of things: "1 director", "2 directors".
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
