package config

import (
	"slices"

	"gopkg.in/yaml.v3"
)

// maxWeight is the largest weight that can make a difference between priorities of 1 to 254.
const maxWeight = 253

// TrackUse is the dependence of an instance on a track or BFD session.
type TrackUse struct {
	Name string
	// Weight: 0: while it is down, the instance is in FAULT. A positive weight is added to the priority while it is up, a
	// negative one subtracted while it is down. For a file, the number in it is multiplied by the weight.
	Weight int // -253 to 253
	// Reverse changes the sign of what is added or subtracted; with weight 0 the instance is in FAULT while the track is up.
	Reverse bool
}

// trackUseSection is the section of an entry of an instance's tracks that is more than a name.
func trackUseSection() *sectionOf[TrackUse] {
	s := &sectionOf[TrackUse]{
		section: section{
			name: "an entry of tracks", place: "an entry of tracks", what: "a name, or a mapping with name and weight",
			words: []word{needless("is keepalived's word: leave reverse out", "noreverse")},
		},
		rules: func(u *TrackUse, o object) {
			if u.Reverse && u.Weight == 0 && o.missing("weight") {
				o.locate("reverse").fail("write weight: 0 too if the instance is to be in FAULT while the track is up", "reverse changes the sign of a weight, and there is none")
			}
		},
	}
	s.fields = []key[TrackUse]{
		&field[TrackUse, string]{
			name: "name", kind: nodeName, in: func(u *TrackUse) *string { return &u.Name },
			required: "the name of a track or BFD session", doc: "the name of a track or BFD session", reload: Live,
		},
		&field[TrackUse, int]{
			name: "weight", kind: wholeNumber[int](-maxWeight, maxWeight), in: func(u *TrackUse) *int { return &u.Weight },
			doc: "what is added to the priority while it is up, or, if negative, while it is down", reload: Live,
		},
		&field[TrackUse, bool]{
			name: "reverse", kind: flag(false), in: func(u *TrackUse) *bool { return &u.Reverse },
			doc: "changes the sign of what is added", reload: Live,
		},
	}
	return s.build()
}

func tracksField() key[instance] {
	s := trackUseSection()
	return &field[instance, []TrackUse]{
		name: "tracks", in: func(i *instance) *[]TrackUse { return &i.Tracks },
		kind: trackUses(s), unset: "none",
		readAs: func(v value, i *instance) []TrackUse {
			i.TracksAt = v.position()
			return v.trackUses(s)
		},
		doc: "the tracks and BFD sessions that it depends on: names, or `{name: NAME, weight: N}`. Without a weight, or with 0, the instance " +
			"is in FAULT while the track is down. A positive weight is added to the priority while it is up, a negative one " +
			"is subtracted while it is down (-253 to 253; the sum is at least 1 and at most 254, and a priority of 255 is not changed); " +
			"`reverse: true` changes the sign; see [failover.md](failover.md#weights)",
		perNode: perNode, reload: Live,
		words: []word{
			keepalived("track_script", "track_bfd"),
			keepalived("track_process", "track_file", "track_interface").write("`tracks`, and a track of that type"),
		},
	}
}

// trackUses is a list of names and mappings.
func trackUses(s *sectionOf[TrackUse]) kind[[]TrackUse] {
	item := &Schema{AnyOf: []*Schema{{Type: "string", Pattern: namePattern}, s.object()}}
	return kind[[]TrackUse]{
		form: form{text: "list of names or mappings", schema: &Schema{Type: "array", Items: item}},
		read: func(v value) []TrackUse { return v.trackUses(s) },
		same: slices.Equal[[]TrackUse],
	}
}

// trackUses reads the tracks of an instance. The result for an empty list is not nil, so that per_node can remove all
// tracks.
func (v value) trackUses(s *sectionOf[TrackUse]) []TrackUse {
	uses := []TrackUse{}
	for _, item := range v.items("names of tracks") {
		var u TrackUse
		at := item
		if item.node.Kind == yaml.MappingNode {
			o, ok := item.object(&s.section)
			if !ok {
				continue
			}
			s.take(o, &u)
			at = o.locate("name")
		} else {
			u.Name = item.name()
		}
		switch {
		case u.Name == "":
		case slices.ContainsFunc(uses, func(other TrackUse) bool { return other.Name == u.Name }):
			at.fail("", "%s is listed twice", u.Name)
		default:
			uses = append(uses, u)
		}
	}
	return uses
}

// trackNames returns the names in a list that trackUses has read, with their positions.
func (v value) trackNames() []value {
	var names []value
	for _, item := range v.entries() {
		if name, ok := item.peek("name"); ok {
			item = name
		}
		if item.node.Kind == yaml.ScalarNode {
			names = append(names, item)
		}
	}
	return names
}
