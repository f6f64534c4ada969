package config

import (
	"slices"
	"strings"
)

// perNodeField declares per_node, the settings of single directors. Its keys are those of s that allow it, and its
// values are complete instances as run by those directors.
func perNodeField(s *sectionOf[instance]) key[instance] {
	own := s.perNode("a mapping of ")
	return &field[instance, map[string]Instance]{
		name: "per_node", in: func(i *instance) *map[string]Instance { return &i.PerNode },
		kind: kind[map[string]Instance]{form: form{
			text: "mapping", schema: &Schema{Type: "object"}, inside: &own.section, many: byNode,
		}},
		readAs: func(v value, i *instance) map[string]Instance { return readPerNode(v, own, i) },
		unset:  "none", doc: "settings that differ on single directors, by director name",
	}
}

func readPerNode(v value, s *sectionOf[instance], i *instance) map[string]Instance {
	all := map[string]Instance{}
	v.pairs("a mapping from director names to their settings", func(name string, at, field value) {
		if names := nameList(i.directors); len(names) > 0 && !slices.Contains(names, name) {
			at.fail(didYouMean(name, names), "no director has this name: want %s", enumerate(names, "or"))
		}
		if o, ok := field.object(&s.section); ok {
			own := *i
			own.PerNode = nil
			s.given(o, &own)
			all[name] = own.Instance
		}
	})
	return all
}

func nameList(directors []placed[Director]) []string {
	var names []string
	for _, d := range directors {
		if d.v.Name != "" {
			names = append(names, d.v.Name)
		}
	}
	return names
}

// perNode returns the section of the keys that may differ between nodes; what is the beginning of its description.
func (s *sectionOf[S]) perNode(what string) *sectionOf[S] {
	own := &sectionOf[S]{section: section{name: "per_node"}}
	elsewhere := func(name, message string) {
		own.words = append(own.words, word{names: []string{name}, message: message, hint: "write it in the instance itself"})
	}
	own.words = slices.Clone(s.words)
	for _, f := range s.fields {
		switch d := f.declare(); d.perNode {
		case perNode:
			own.fields = append(own.fields, f)
		case mustAgree:
			elsewhere(d.name, "must be the same on every director, or both may become MASTER")
		case oneForAll:
			elsewhere(d.name, "is the same on every director")
		}
	}
	own.reserved = slices.DeleteFunc(slices.Clone(s.reserved), func(r later) bool { return !r.perNode })
	own.build()
	own.what = what + strings.Join(own.names(), ", ")
	return own
}
