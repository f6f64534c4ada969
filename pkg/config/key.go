package config

import (
	"slices"
	"strings"
)

// key is one key of a section whose values are read into an S.
type key[S any] interface {
	// declare returns what the program knows about the key, whatever its type.
	declare() *declaration
	// read puts the value that the file gives into s, or reports what is wrong with it; fill puts the default there.
	read(v value, s *S)
	fill(s *S)
	// same says whether the key has the same value in a and b.
	same(a, b *S) bool
}

// field is the one place that declares a key: S is the struct of its section, V the type of its value.
type field[S, V any] struct {
	name string
	in   func(*S) *V // where the value belongs
	kind kind[V]
	// readAs replaces the reader of the kind for a value that depends on keys declared before it.
	readAs func(v value, s *S) V

	// required says what the key would hold, for the message that it is missing; "" for a key with a default.
	required string
	// The default: def, or what defOf makes of the keys declared before. unset is its text in the reference where def is
	// not what to print.
	def   V
	defOf func(s *S) V
	unset string

	doc     string // one sentence of Markdown without its full stop
	perNode scope
	reload  Reload
	since   string // the version that brought the key; "" for the first one
	words   []word // what people write in its place
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
	borrowed bool        // described in the chapter of another section
	kinds    []CheckType // the kinds of check that have the key; empty if it belongs to all
	stray    string      // what is said of the key in a check of another kind
}

func (f field[S, V]) declare() *declaration {
	d := &declaration{
		name: f.name, form: f.kind.form, required: f.required, unset: f.unset, doc: f.doc,
		perNode: f.perNode, reload: f.reload, since: f.since, words: f.words,
	}
	if f.required == "" && f.unset == "" && f.kind.show != nil {
		d.unset, d.def = "`"+f.kind.show(f.def)+"`", f.kind.json(f.def)
	}
	return d
}

func (f field[S, V]) read(v value, s *S) {
	if f.readAs != nil {
		*f.in(s) = f.readAs(v, s)
		return
	}
	*f.in(s) = f.kind.read(v)
}

func (f field[S, V]) fill(s *S) {
	if f.defOf != nil {
		*f.in(s) = f.defOf(s)
		return
	}
	*f.in(s) = f.def
}

func (f field[S, V]) same(a, b *S) bool {
	return f.kind.same == nil || f.kind.same(*f.in(a), *f.in(b))
}

// of says whether a check of a kind has the key.
func (d *declaration) of(kind CheckType) bool {
	return d.kinds == nil || slices.Contains(d.kinds, kind)
}

// scope says whether single nodes may set a key differently, in a section that has per_node.
type scope uint8

const (
	oneForAll scope = iota // no
	perNode                // yes
	mustAgree              // no: directors that differ in it do not understand each other
)

// Reload says what a changed value of a key means when a running daemon reads the file again. The graver one is the
// larger one.
type Reload uint8

const (
	// Same is no change, or one that the keys inside a list or mapping tell.
	Same Reload = iota
	// Live is taken over by what runs.
	Live
	// Restart begins that part anew, with what it knew.
	Restart
	// Another makes it something else: the old one is taken away and the new one comes.
	Another
)

// String returns the word of the reference: "live", "restart", "another"; "" for Same.
func (r Reload) String() string {
	return [...]string{"", "live", "restart", "another"}[min(r, Another)]
}

// later is a key with a meaning laid down for a later version. It is refused: a file that names a sorry server must not
// run without one.
type later struct {
	name    string
	doc     string // what it is for
	perNode bool
	// instead are required keys that it stands for: they are not reported as missing beside it.
	instead []string
}

// word is a key that is none, and what to say about it.
type word struct {
	names      []string // in lower case
	keepalived bool     // keepalived's: listed in the reference
	message    string   // "": that it is keepalived's word, or unknown
	hint       string   // "": write the key that declares the word
	example    string   // what to write, in the reference, in Markdown; "" for the name of the key
	instead    string   // the key that was meant, if there is exactly one; it is then not reported as missing
}

// keepalived are words of keepalived for a key.
func keepalived(names ...string) word { return word{names: names, keepalived: true} }

// synonyms are other words for a key.
func synonyms(names ...string) word { return word{names: names} }

// needless are words of keepalived that have no key here.
func needless(message string, names ...string) word {
	return word{names: names, keepalived: true, message: message, hint: "remove it"}
}

// waiting are words of keepalived for a reserved key.
func waiting(key string, names ...string) word {
	w := needless("is keepalived's word for "+key+", which this version does not support yet", names...)
	w.example = "`" + key + "`, which is reserved"
	return w
}

// write says, in Markdown, what to write for a word where the name of the key alone would not help.
func (w word) write(example string) word {
	w.example, w.hint = example, "write "+strings.ReplaceAll(example, "`", "")
	return w
}

// of completes a word that key declares, or its section if key is "".
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
