package config

import (
	"slices"
	"strings"
	"testing"
)

// A word that hints at a key is no key itself, and no other hint says something else about it.
func TestWords(t *testing.T) {
	newClusterFile(checkKinds()).eachSection(func(s *section) {
		seen := map[string]bool{}
		judge := func(w word, key string) {
			w = w.of(key)
			for _, name := range w.names {
				reserved := slices.ContainsFunc(s.reserved, func(r later) bool { return r.name == name })
				if name != strings.ToLower(name) || s.known[name] != nil || reserved {
					t.Errorf("%s: %s is not reached", s.at(), name)
				}
				if seen[name] {
					t.Errorf("%s: %s is declared twice", s.at(), name)
				}
				seen[name] = true
			}
			if w.message == "" || w.hint == "" || w.hint == "write " || len(w.names) == 0 {
				t.Errorf("%s: %s: %+v", s.at(), key, w)
			}
		}
		for _, d := range s.keys {
			for _, w := range d.words {
				judge(w, d.name)
			}
		}
		for _, w := range s.words {
			judge(w, "")
		}
	})
}

// A declaration is complete, and one section has a key once.
func TestDeclarations(t *testing.T) {
	count := 0
	newClusterFile(checkKinds()).eachSection(func(s *section) {
		if s.what == "" || s.at() == "" {
			t.Errorf("%s: %q", s.at(), s.what)
		}
		names := s.names()
		for _, r := range s.reserved {
			names = append(names, r.name)
			if r.doc == "" {
				t.Errorf("%s.%s: what is it for?", s.at(), r.name)
			}
			for _, other := range r.instead {
				if s.known[other] == nil {
					t.Errorf("%s.%s stands for %s, which is no key", s.at(), r.name, other)
				}
			}
		}
		slices.Sort(names)
		if once := slices.Compact(slices.Clone(names)); len(once) != len(names) {
			t.Errorf("%s: a key is declared twice: %q", s.at(), names)
		}
		for _, d := range s.keys {
			count++
			if d.doc == "" || strings.HasSuffix(d.doc, ".") || d.form.text == "" || d.required == "" && d.unset == "" {
				t.Errorf("%s.%s: incomplete: %+v", s.at(), d.name, d)
			}
			if leaf := d.form.inside == nil && d.name != "version"; leaf != (d.reload != Same) {
				t.Errorf("%s.%s: a change means %q at a reload", s.at(), d.name, d.reload)
			}
		}
	})
	if count < 50 {
		t.Errorf("%d keys", count)
	}
}

// eachSection calls f for all sections, those of single nodes too.
func (f *clusterFile) eachSection(do func(*section)) {
	for _, s := range f.sections {
		do(s)
		for _, d := range s.keys {
			if d.form.many == byNode {
				do(d.form.inside)
			}
		}
	}
}
