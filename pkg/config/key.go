package config

import (
	"slices"
	"strings"
)

// key is a key of a section whose mappings are read into an S.
type key[S any] interface {
	// declare returns the declaration of the key without its types.
	declare() *declaration
	// read stores the value from the file in s or reports a problem; fill stores the default.
	read(v value, s *S)
	fill(s *S)
	// same reports whether the key has the same value in a and b.
	same(a, b *S) bool
}

// field declares a key: S is the struct of its section, V the type of its value.
type field[S, V any] struct {
	name string
	in   func(*S) *V // where the value is stored
	kind kind[V]
	// readAs replaces the kind's reader if the value depends on keys that are declared earlier.
	readAs func(v value, s *S) V

	// required describes the value in the error message for a missing key; "" for a key with a default.
	required string
	// The default: def, or the result of defOf if it depends on keys that are declared earlier. unset is the text of
	// the default in the reference if def itself is not to be printed.
	def   V
	defOf func(s *S) V
	unset string

	doc     string // one sentence of Markdown without the full stop
	perNode scope
	reload  Reload
	since   string   // the version that brought the key; "" for the first one
	words   []word   // other words for the key
	instead []string // required keys that are not missing if this one is given
}

// declaration is a field without its types.
type declaration struct {
	name     string
	form     form
	required string
	unset    string
	def      any // for the schema; nil for none, or one that depends on other keys
	doc      string
	perNode  scope
	reload   Reload
	since    string
	words    []word
	instead  []string
	others   []string    // the keys that may be given instead of this one
	borrowed bool        // described in another section of the reference
	kinds    []CheckType // the kinds of check that have the key; empty means all
	stray    string      // end of the error message for the key in a check of another kind
	each     bool        // doc says what the key means in which kind
}

func (f *field[S, V]) declare() *declaration {
	d := &declaration{
		name: f.name, form: f.kind.form, required: f.required, unset: f.unset, doc: f.doc,
		perNode: f.perNode, reload: f.reload, since: f.since, words: f.words, instead: f.instead,
	}
	if f.required == "" && f.unset == "" && f.kind.show != nil {
		d.unset, d.def = "`"+f.kind.show(f.def)+"`", f.kind.json(f.def)
	}
	return d
}

func (f *field[S, V]) read(v value, s *S) {
	if f.readAs != nil {
		*f.in(s) = f.readAs(v, s)
		return
	}
	*f.in(s) = f.kind.read(v)
}

func (f *field[S, V]) fill(s *S) {
	if f.defOf != nil {
		*f.in(s) = f.defOf(s)
		return
	}
	*f.in(s) = f.def
}

func (f *field[S, V]) same(a, b *S) bool {
	return f.kind.same == nil || f.kind.same(*f.in(a), *f.in(b))
}

// of reports whether a check of a kind has the key.
func (d *declaration) of(kind CheckType) bool {
	return d.kinds == nil || slices.Contains(d.kinds, kind)
}

// scope tells whether a key may differ between nodes, in a section with per_node.
type scope uint8

const (
	oneForAll scope = iota // no
	perNode                // yes
	mustAgree              // no: directors with different values do not interoperate
)

// Reload is the effect of a changed value when a running daemon reloads the file. More disruptive effects have larger
// values.
type Reload uint8

const (
	// Same means no change, or that the effect depends on the keys inside a list or mapping.
	Same Reload = iota
	// Live means that the running part adopts the value.
	Live
	// Restart restarts the part and keeps its state.
	Restart
	// Another means a new identity: the old part is removed and a new one is created.
	Another
)

// String returns the word used in the reference: "live", "restart" or "another"; "" for Same.
func (r Reload) String() string {
	return [...]string{"", "live", "restart", "another"}[min(r, Another)]
}

// later is a key reserved for a later version. It is rejected: a file that names a sorry server must not run without
// one.
type later struct {
	name    string
	doc     string // what it is for
	perNode bool
	// instead are required keys that this key replaces; they are not reported as missing.
	instead []string
}

// word is an invalid key for which the error message has a hint.
type word struct {
	names      []string // in lower case
	keepalived bool     // a keyword of keepalived: listed in the reference
	message    string   // "": that it is keepalived's word, or unknown
	hint       string   // "": write the key that declares the word
	example    string   // what to write, in the reference, in Markdown; "" for the name of the key
	instead    string   // the key that was meant, if it is unambiguous; it is then not reported as missing
}

// keepalived are keepalived's keywords for a key.
func keepalived(names ...string) word { return word{names: names, keepalived: true} }

// synonyms are other words for a key.
func synonyms(names ...string) word { return word{names: names} }

// needless are keepalived keywords without a corresponding key.
func needless(message string, names ...string) word {
	return word{names: names, keepalived: true, message: message, hint: "remove it"}
}

// write sets what to write instead of the word, in Markdown, if the name of the key alone is not enough.
func (w word) write(example string) word {
	w.example, w.hint = example, "write "+strings.ReplaceAll(example, "`", "")
	return w
}

// of completes a word declared by key, or by the section if key is "".
func (w word) of(key string) word {
	if w.message == "" {
		w.message = "unknown key"
		if w.keepalived {
			w.message = "is keepalived's word"
		}
	}
	if w.hint == "" {
		w.hint = "write " + key
	}
	w.instead = key
	return w
}
