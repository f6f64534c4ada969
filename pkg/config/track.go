package config

import (
	"math"
	"net/netip"
	"slices"
	"strings"
)

// Track is something that instances depend on; see TrackUse. Exactly one of Check.Kind and Watch is set.
type Track struct {
	Name string
	// Gate: it only keeps a director from becoming MASTER; one that is MASTER stays it.
	Gate bool
	// Check is run at its interval. Address and Check.Port are those of a check over the network.
	Address netip.Addr
	Check   Check
	// Watch is something else that has a state.
	Watch Watch `json:",omitempty"`
}

// Watch is what a track without a check is about: one of the types of this package whose names begin with Watched.
type Watch interface {
	Type() CheckType
	sealed()
}

// Type returns the value of `type` in the cluster file.
func (t Track) Type() CheckType {
	switch {
	case t.Watch != nil:
		return t.Watch.Type()
	case t.Check.Kind != nil:
		return t.Check.Kind.Type()
	}
	return ""
}

// Addressed is a CheckKind that names the address that it asks.
type Addressed interface{ Target() netip.Addr }

// Checks returns the checks of a track, none if it has a Watch, and how many of them must pass; 0: all. The targets of a
// gateway have a check each, so that their failures are counted apart.
func (t Track) Checks() (checks []Check, atLeast int) {
	switch kind := t.Check.Kind.(type) {
	case nil:
		return nil, 0
	case GatewayCheck:
		return kind.checks(t.Check), kind.AtLeast
	}
	return []Check{t.Check}, 0
}

// track is a Track under construction.
type track struct {
	Track
	kind CheckType
}

// trackSection has the keys of a check in addition to its own.
func trackSection(checks *sectionOf[check], kinds []trackKind) *sectionOf[track] {
	types := vocabulary{what: "a type of track"}
	var docs, checked []string
	for _, k := range kinds {
		types.words = append(types.words, string(k.name))
		if k.check {
			checked = append(checked, "`"+string(k.name)+"`")
		} else {
			docs = append(docs, "`"+string(k.name)+"`: "+k.doc)
		}
	}
	all := trackKeys(kinds)
	s := &sectionOf[track]{
		section: section{
			name: "tracks",
			what: "a track with name and type",
			intro: "A track is something that instances depend on: a check of something other than a real server, with the keys of\n" +
				"[a check](#checks) in addition to these, or something else that has a state; see [failover.md](failover.md#tracks).\n" +
				"`127.0.0.1` refers to each director itself. A `mysql` track there needs an account for that address on each of them:\n" +
				"`CREATE USER lvs_check@'127.0.0.1' IDENTIFIED BY '…';` (an account for the director's other address does not match). An\n" +
				"unused track gets a warning.",
			words:  trackWords(),
			schema: func() Schema { return trackSchema(kinds, all) },
		},
		rules: func(t *track, o object) { t.readKind(kinds, all, o) },
	}
	s.fields = []key[track]{
		&field[track, string]{
			name: "name", kind: nodeName, in: func(t *track) *string { return &t.Name },
			required: "the name that instances track it by",
			doc:      "the name that instances track it by; unique",
			reload:   Live,
		},
		&field[track, CheckType]{
			name: "type", kind: oneOf[CheckType](types), in: func(t *track) *CheckType { return &t.kind },
			required: enumerate(types.words, "or"),
			doc:      strings.Join(checked, ", ") + ": as [a check](#checks). " + strings.Join(docs, ". "),
			reload:   Restart,
			words:    []word{keepalived("misc_path").write("`type: mysql` with `user` and `password_file`")},
		},
		&field[track, bool]{
			name: "when", kind: trackWhen(), in: func(t *track) *bool { return &t.Gate },
			defOf: func(t *track) bool { return t.kind == Gateway },
			unset: "`always`; with type `gateway`: `becoming_master`",
			doc: "`always`: a director depends on it in any state. `becoming_master`: while it is down a director does not become MASTER, " +
				"even if there is none; one that is MASTER stays it",
			reload: Live,
		},
	}
	s.build()
	s.include(all)
	return s
}

// trackWhen is whether a track matters only for becoming MASTER.
func trackWhen() kind[bool] {
	k := oneOf[string](vocabulary{what: "a time", words: []string{"always", "becoming_master"}})
	return scalar(k.text, *k.schema, func(v value) bool { return k.read(v) == "becoming_master" })
}

func trackWords() []word {
	return []word{
		{names: []string{"weight"}, message: "the weight is one of the instance that names the track", hint: "write {name: NAME, weight: N} into its tracks"},
		keepalivedWord("init_fail", "a track without a result is neither up nor down"),
		keepalivedWord("init_file", "the file is read, and never written"),
		keepalivedWord("param_match", "write the whole command line as `command_line`"),
		keepalivedWord("full_command", "write `command_line`"),
	}
}

// keepalivedWord is a keyword without a corresponding key, and why.
func keepalivedWord(name, why string) word { return needless("is keepalived's word: "+why, name) }

// readKind reads the keys of the track's kind. It rejects keys of other kinds. Without a valid type it validates the
// keys of the first kind that has one of them.
func (t *track) readKind(kinds []trackKind, all []*declaration, o object) {
	i := slices.IndexFunc(kinds, func(k trackKind) bool { return k.name == t.kind })
	if i < 0 {
		if i = slices.IndexFunc(kinds, func(k trackKind) bool { return k.knows(o) }); i >= 0 {
			kinds[i].validate(o)
		}
		return
	}
	k := kinds[i]
	for _, d := range all {
		v, given := o.fields[d.name]
		if given && !d.of(k.name) && !k.rejects(d.name) {
			v.fail("use type: "+enumerate(words(d.kinds), "or")+", or remove it", "a track of type %s has no %s", k.name, d.name)
		}
	}
	k.read(o, &t.Track)
}

// readCheck reads the check of a track over the network.
func (t *Track) readCheck(s *sectionOf[check], o object) {
	var c check
	s.take(o, &c)
	t.Check = c.Check
	if o.missing("port") {
		o.locate("port").fail("", "is required: a number from 1 to %d", math.MaxUint16)
	}
	if t.Check.isTCP() && isMySQLPort(t.Check.Port) {
		warnHalfLogin(o)
	}
}

func readTracks(v value, s *sectionOf[track]) []placed[track] {
	list := s.each(v, "tracks", track{})
	unique(list, "name", func(t track) string { return t.Name })
	return list
}
