package config

import (
	"math"
	"net/netip"
)

// track is a Track under construction.
type track struct{ Track }

// trackSection has the keys of a check in addition to its own.
func trackSection(checks *sectionOf[check]) *sectionOf[track] {
	s := &sectionOf[track]{
		section: section{
			name: "tracks",
			what: "a track with name, type, address and port",
			intro: "A track is a check of something other than a real server, with the keys of [a check](#checks) in addition to these.\n" +
				"`127.0.0.1` refers to each director itself. A `mysql` track there needs an account for that address on each of them:\n" +
				"`CREATE USER lvs_check@'127.0.0.1' IDENTIFIED BY '…';` (an account for the director's other address does not match). An\n" +
				"unused track gets a warning.",
			words:  checks.words,
			schema: checks.schema,
		},
		rules: func(t *track, o object) { t.readCheck(checks, o) },
	}
	s.fields = []key[track]{
		field[track, string]{
			name: "name", kind: nodeName, in: func(t *track) *string { return &t.Name },
			required: "the name that instances track it by",
			doc:      "the name that instances track it by; unique",
			reload:   Live,
		},
		field[track, netip.Addr]{
			name: "address", kind: addressOf(noMachine, value.routableAddress), in: func(t *track) *netip.Addr { return &t.Address },
			required: "the address to check, for example 127.0.0.1",
			doc:      "the address to check",
			reload:   Another,
		},
	}
	s.build()
	var keys []*declaration
	for _, d := range checks.keys {
		own := *d
		own.borrowed = true
		if d.name == "port" {
			own.borrowed, own.required, own.unset, own.reload = false, "a number from 1 to 65535", "", Another
		}
		keys = append(keys, &own)
	}
	s.include(keys)
	return s
}

func (t *track) readCheck(s *sectionOf[check], o object) {
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
