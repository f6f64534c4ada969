package config

import (
	"net/netip"
	"slices"
)

// The types of tracks that are no checks of a server.
const (
	Command            CheckType = "command"
	Gateway            CheckType = "gateway"
	LinkState          CheckType = "interface"
	Process            CheckType = "process"
	File               CheckType = "file"
	VirtualServerState CheckType = "virtual_server"
	InstanceState      CheckType = "instance"
)

// trackKinds are the kinds of tracks, in the order of the reference: those of checks, and those that exist only here.
func trackKinds(checks *sectionOf[check], kinds []checkKind) []trackKind {
	var all []trackKind
	for _, k := range kinds {
		if !k.serverOnly {
			all = append(all, checkedTrack(checks, k))
		}
	}
	return append(
		all,
		commandTrack(),
		gatewayTrack(),
		interfaceTrack(),
		processTrack(),
		fileTrack(),
		virtualServerTrack(),
		instanceTrack(),
	)
}

// trackKind declares a kind of track.
type trackKind struct {
	name  CheckType
	doc   string // the condition for being up, without a full stop
	check bool   // it is described among the checks
	keys  []*declaration
	read  func(o object, t *Track)
	// validate reports errors in the keys of a track that may be of this kind.
	validate func(o object)
	// stray is the section that rejects keys of other kinds itself; nil for none.
	stray *section
}

// rejects reports whether the reader of the kind itself rejects a key of another kind.
func (k trackKind) rejects(key string) bool { return k.stray != nil && k.stray.known[key] != nil }

// knows reports whether a track has a key that only this kind of track may have, or few others.
func (k trackKind) knows(o object) bool {
	common := []string{"interval", "timeout", "fall", "rise", "user", "at_least"}
	return slices.ContainsFunc(k.keys, func(d *declaration) bool {
		_, given := o.fields[d.name]
		return given && !slices.Contains(common, d.name)
	})
}

// checkedTrack is a track that is a check of an address.
func checkedTrack(checks *sectionOf[check], k checkKind) trackKind {
	type at struct{ address netip.Addr }
	where := (&sectionOf[at]{fields: []key[at]{
		&field[at, netip.Addr]{
			name: "address", kind: addressOf(noMachine, value.routableAddress), in: func(a *at) *netip.Addr { return &a.address },
			required: "the address to check, for example 127.0.0.1",
			doc:      "the address to check",
			reload:   Another,
		},
	}}).build()
	kind := trackKind{
		name: k.name, doc: k.doc, check: true, stray: &checks.section,
		read: func(o object, t *Track) {
			var a at
			where.take(o, &a)
			t.Address = a.address
			t.readCheck(checks, o)
		},
		validate: func(o object) {
			where.given(o, new(at))
			k.validate(o)
		},
	}
	add := func(d *declaration, borrowed bool) {
		own := *d
		own.kinds, own.borrowed = []CheckType{k.name}, borrowed
		kind.keys = append(kind.keys, &own)
	}
	add(where.keys[0], false)
	for _, d := range checks.keys {
		switch {
		case d.name == "type" || !d.of(k.name):
		case d.name == "port":
			port := *d
			port.required, port.unset, port.reload = "a number from 1 to 65535", "", Another
			add(&port, false)
		default:
			own := slices.IndexFunc(k.keys, func(of *declaration) bool { return of.name == d.name })
			if own >= 0 { // without what the key means in other kinds
				d = k.keys[own]
			}
			add(d, true)
		}
	}
	return kind
}

// scheduled is a track with a schedule of checks and the keys of K.
func scheduled[K any](name CheckType, doc string, fields []key[K], read func(k K, o object) CheckKind) trackKind {
	schedule := (&sectionOf[check]{fields: slices.DeleteFunc(scheduleFields(), func(f key[check]) bool {
		return slices.Contains([]string{"port", "source", "mark"}, f.declare().name)
	})}).build()
	own := (&sectionOf[K]{fields: fields}).build()
	kind := watching(name, doc, fields, nil)
	for _, d := range schedule.keys {
		d.kinds, d.borrowed = []CheckType{name}, true
	}
	kind.keys = append(kind.keys, schedule.keys...)
	kind.read = func(o object, t *Track) {
		var c check
		var k K
		schedule.take(o, &c)
		own.take(o, &k)
		t.Check = c.Check
		t.Check.Kind = read(k, o)
	}
	kind.validate = func(o object) { own.given(o, new(K)) }
	return kind
}

// watching is a track with the keys of K.
func watching[K any](name CheckType, doc string, fields []key[K], read func(k K, o object) Watch) trackKind {
	own := (&sectionOf[K]{fields: fields}).build()
	for _, d := range own.keys {
		d.kinds = []CheckType{name}
	}
	return trackKind{
		name: name, doc: doc, keys: own.keys,
		read: func(o object, t *Track) {
			var k K
			own.take(o, &k)
			t.Watch = read(k, o)
		},
		validate: func(o object) { own.given(o, new(K)) },
	}
}

// trackKeys are the keys of all kinds. A key that several kinds share is listed once, with all its meanings.
func trackKeys(kinds []trackKind) []*declaration {
	var all []*declaration
	for _, k := range kinds {
		for _, d := range k.keys {
			i := slices.IndexFunc(all, func(known *declaration) bool { return known.name == d.name })
			if i < 0 {
				own := *d
				all = append(all, &own)
				continue
			}
			all[i].share(d)
		}
	}
	return all
}

// share adds the meaning that a key of the same name has in another kind.
func (d *declaration) share(other *declaration) {
	before := d.kinds
	d.kinds = append(slices.Clone(before), other.kinds...)
	if (d.required == "") != (other.required == "") { // kinds validate that themselves
		d.required, d.unset = "", "see the meaning"
	}
	if d.doc == other.doc {
		d.borrowed = d.borrowed && other.borrowed
		return
	}
	if !d.each {
		d.doc, d.each = d.told(before), true
	}
	d.doc += "; " + other.told(other.kinds)
	d.borrowed = false
	d.words = slices.Clone(d.words)
	for _, w := range other.words {
		if !slices.ContainsFunc(d.words, func(known word) bool { return slices.Equal(known.names, w.names) }) {
			d.words = append(d.words, w)
		}
	}
}

// trackSchema defines the keys of each kind of track.
func trackSchema(kinds []trackKind, all []*declaration) Schema {
	var s Schema
	for _, k := range kinds {
		s.AllOf = append(s.AllOf, keysOfKind(k.name, k.keys, all)...)
	}
	return s
}
