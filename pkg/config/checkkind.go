package config

import (
	"cmp"
	"slices"
)

// checkKinds are the kinds of checks, in the order of the reference. Each is a file of this package, which declares it,
// and one of package probe, which makes it. This and Prober are the only lists of them.
func checkKinds() []checkKind {
	return []checkKind{
		tcpKind(),
		mysqlKind(),
	}
}

// Prober makes checks: it has one method for each kind.
type Prober interface {
	TCP(TCPCheck)
	MySQL(MySQLCheck)
}

// CheckKind is what a check asks of a server: a value of one of the types that Prober names. Values are comparable; equal
// ones ask the same.
type CheckKind interface {
	// Type is the word of the cluster file.
	Type() CheckType
	// SecretFile is the absolute path of the file with the secret that the prober needs; "" for none.
	SecretFile() string
	// Probe calls the method of the prober that is for the kind.
	Probe(Prober)
	sealed()
}

// noSecret is embedded by kinds that need none.
type noSecret struct{}

func (noSecret) SecretFile() string { return "" }

// checkValue is a CheckKind whose values can be compared.
type checkValue interface {
	comparable
	CheckKind
}

// kindOf declares the kind whose checks are read into a K.
type kindOf[K checkValue] struct {
	name CheckType
	doc  string // when a server passes, without a full stop
	// stray ends the message about a key of the kind in a check of another: "does not log in"; "" for "has no" and the key.
	stray  string
	fields []key[K]
	rules  func(k *K, o object)
}

// declare completes the declaration.
func (k kindOf[K]) declare() checkKind {
	s := (&sectionOf[K]{fields: k.fields, rules: k.rules}).build()
	for _, d := range s.keys {
		d.kinds, d.stray = []CheckType{k.name}, k.stray
	}
	return checkKind{
		name: k.name, doc: k.doc, keys: s.keys,
		read: func(o object) CheckKind {
			var check K
			s.take(o, &check)
			return check
		},
		judge: func(o object) { s.given(o, new(K)) },
	}
}

// checkKind is a kindOf without its type.
type checkKind struct {
	name CheckType
	doc  string
	keys []*declaration
	read func(o object) CheckKind
	// judge reports what is wrong with the keys of a check that might be of the kind.
	judge func(o object)
}

// kindKeys are the keys of all kinds, one that several have once.
func kindKeys(kinds []checkKind) []*declaration {
	var all []*declaration
	for _, k := range kinds {
		for _, d := range k.keys {
			if i := slices.IndexFunc(all, func(known *declaration) bool { return known.name == d.name }); i >= 0 {
				shared := *all[i]
				shared.kinds = append(slices.Clone(shared.kinds), k.name)
				all[i] = &shared
				continue
			}
			all = append(all, d)
		}
	}
	return all
}

// readKind returns the reader of what only one kind of check has. It refuses what only others have. Without a valid type
// the check is nil, and its keys are judged by the first kind that has one of them.
func readKind(kinds []checkKind) func(name CheckType, o object) CheckKind {
	all := kindKeys(kinds)
	return func(name CheckType, o object) CheckKind {
		i := slices.IndexFunc(kinds, func(k checkKind) bool { return k.name == name })
		if i < 0 {
			if i = slices.IndexFunc(kinds, func(k checkKind) bool { return k.knows(o) }); i >= 0 {
				kinds[i].judge(o)
			}
			return nil
		}
		for _, d := range all {
			if v, given := o.fields[d.name]; given && !d.of(name) {
				v.fail("use type: "+enumerate(words(d.kinds), "or")+", or remove it", "a %s check %s", name, cmp.Or(d.stray, "has no "+d.name))
			}
		}
		return kinds[i].read(o)
	}
}

// knows says whether a check has a key of the kind.
func (k checkKind) knows(o object) bool {
	return slices.ContainsFunc(k.keys, func(d *declaration) bool { _, given := o.fields[d.name]; return given })
}

func words(types []CheckType) []string {
	var all []string
	for _, t := range types {
		all = append(all, string(t))
	}
	return all
}
