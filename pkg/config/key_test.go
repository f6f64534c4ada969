package config

import (
	"slices"
	"strings"
	"testing"
)

// A hint word is not a key itself and has only one hint.
func TestWords(t *testing.T) {
	newClusterFile().eachSection(func(s *section) {
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

// Declarations are complete, and a section has no duplicate keys.
func TestDeclarations(t *testing.T) {
	count := 0
	newClusterFile().eachSection(func(s *section) {
		if s.what == "" || s.at() == "" {
			t.Errorf("%s: %q", s.at(), s.what)
		}
		names := s.names()
		for _, r := range s.reserved {
			names = append(names, r.name)
			if r.doc == "" {
				t.Errorf("%s.%s: no description", s.at(), r.name)
			}
			for _, other := range r.instead {
				if s.known[other] == nil {
					t.Errorf("%s.%s replaces %s, which is not a key", s.at(), r.name, other)
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

// eachSection calls do for all sections, including those for single nodes.
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

const small = `version: 1
directors: [{name: a, address: 10.0.0.1}]
vrrp_instances:
- {name: i, interface: eth0, virtual_router_id: 1, virtual_addresses: [10.0.0.9], KEY, per_node: {a: {KEY}}}
`

// A declared key appears in the reader, per_node, the hints, the reload, the reference and the schema.
func TestAddAKey(t *testing.T) {
	limits := map[*instance]*uint8{}
	f := declareFile(checkKinds(), append(instanceFields(), &field[instance, uint8]{
		name: "hop_limit", kind: wholeNumber[uint8](1, 64), def: 32, doc: "how far adverts go",
		in: func(i *instance) *uint8 {
			if limits[i] == nil {
				limits[i] = new(uint8)
			}
			return limits[i]
		},
		perNode: perNode, reload: Restart, since: "1.2",
		words: []word{keepalived("ttl")},
	}))
	for key, want := range map[string]string{
		"hop_limit: 7":  "",
		"hop_limit: 65": "4:94 hop_limit: 65 is out of range: 1 to 64, 4:124 per_node.a.hop_limit: 65 is out of range: 1 to 64",
		"hop_limt: 7":   "4:83 hop_limt: unknown key (did you mean hop_limit?), 4:111 per_node.a.hop_limt: unknown key (did you mean hop_limit?)",
		"ttl: 7":        "4:83 ttl: is keepalived's word (write hop_limit), 4:106 per_node.a.ttl: is keepalived's word (write hop_limit)",
	} {
		clear(limits)
		_, problems := parse(f, "f", []byte(strings.ReplaceAll(small, "KEY", key)))
		got := strings.NewReplacer("f:", "", ": vrrp_instances[0].", " ", "\n", ", ").Replace(strings.TrimSpace(problems.String()))
		if got != want {
			t.Errorf("%s:\n%q, want\n%q", key, got, want)
		}
		for _, limit := range limits {
			if want == "" && *limit != 7 {
				t.Errorf("%s: read %d", key, *limit)
			}
		}
	}
	if len(limits) < 1 {
		t.Error("nothing was read")
	}
	for _, want := range []string{
		"| `hop_limit` | 1 to 64 | `32` | restart | how far adverts go; since version 1.2 |\n",
		"| `ttl` | `vrrp_instances` | `hop_limit` |\n",
		"`hop_limit` (`tracks: []` ",
	} {
		if reference := f.reference(); !strings.Contains(reference, want) && !strings.Contains(strings.Join(strings.Fields(reference), " "), want) {
			t.Errorf("the reference does not have %q", want)
		}
	}
	instances := f.top.object().Properties["vrrp_instances"].Items
	own := instances.Properties["per_node"].AdditionalProperties.(*Schema).Properties["hop_limit"]
	if s := instances.Properties["hop_limit"]; s == nil || *s.Maximum != 64 || s.Default != 32 || own == nil || *own.Minimum != 1 {
		t.Errorf("the schema has %+v, and of single nodes %+v", s, own)
	}
}

// The effect of a changed key at a reload is the declared one.
func TestChange(t *testing.T) {
	type pair struct{ port, weight int }
	fields := []key[pair]{
		&field[pair, int]{name: "port", kind: wholeNumber[int](1, 9), in: func(p *pair) *int { return &p.port }, reload: Another},
		&field[pair, int]{name: "weight", kind: wholeNumber[int](1, 9), in: func(p *pair) *int { return &p.weight }, reload: Live},
	}
	for next, want := range map[pair]Reload{{1, 1}: Same, {1, 2}: Live, {2, 1}: Another, {2, 2}: Another} {
		if got := change(fields, &pair{1, 1}, &next); got != want {
			t.Errorf("%v: %q, want %q", next, got, want)
		}
	}
}
