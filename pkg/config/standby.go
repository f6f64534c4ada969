package config

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Share is a number, or a percentage of all. The zero value is the number 1.
type Share struct {
	Number  int `json:",omitzero"` // 1 or more, if Percent is 0
	Percent int `json:",omitzero"` // 1-100
}

// Of returns how many of all it is, 1 or more; a percentage is rounded up.
func (s Share) Of(all int) int {
	if s.Percent > 0 {
		return max((all*s.Percent+99)/100, 1)
	}
	return max(s.Number, 1)
}

// Has reports whether the virtual server has a real server with this role.
func (v VirtualServer) Has(role Role) bool {
	return slices.ContainsFunc(v.RealServers, func(r RealServer) bool { return r.Role == role })
}

func standbyField() key[realServer] {
	return &field[realServer, bool]{
		name: "standby", kind: flag(false), in: func(rs *realServer) *bool { return &rs.standby },
		doc:    "whether it is given connections only while fewer than `primaries_needed` of the others are up",
		reload: Live,
		words:  []word{synonyms("backup").write("`standby: true`")},
	}
}

func standbyFields() []key[virtualServer] {
	return []key[virtualServer]{
		&field[virtualServer, Share]{
			name: "primaries_needed", kind: share(), in: func(s *virtualServer) *Share { return &s.PrimariesNeeded }, unset: "`1`",
			doc: "how many of the real servers without `standby: true`, such as `2` or `50%`, must be up: otherwise those with it are given all new " +
				"connections; see [virtual-servers.md](virtual-servers.md#primary-and-standby-servers)",
			reload: Live,
		},
		&field[virtualServer, bool]{
			name: "fail_back", kind: negated(), in: func(s *virtualServer) *bool { return &s.StaysOnStandby },
			doc:    "whether new connections go back when enough primaries are up again; `false`: only when no standby server is left",
			reload: Live,
		},
		&field[virtualServer, int]{
			name: "panic_threshold", kind: wholeNumber[int](0, 100), in: func(s *virtualServer) *int { return &s.PanicThreshold },
			doc: "the percentage of healthy real servers below which those that fail keep their entries: see " +
				"[virtual-servers.md](virtual-servers.md#panic-threshold). 0: none",
			reload: Live,
		},
	}
}

// negated is a boolean of which the opposite is kept, so that the zero value is the default.
func negated() kind[bool] {
	k := flag(true)
	k.read = func(v value) bool { return !v.boolean(true) }
	k.show = func(b bool) string { return strconv.FormatBool(!b) }
	k.json = func(b bool) any { return !b }
	return k
}

// share is a number, or a percentage.
func share() kind[Share] {
	one := 1
	s := Schema{AnyOf: []*Schema{{Type: "integer", Minimum: &one}, {Type: "string", Pattern: "^([1-9][0-9]?|100)%$"}}}
	return scalar("number or percentage", s, func(v value) Share {
		if number, is := strings.CutSuffix(v.node.Value, "%"); is && v.node.Kind == yaml.ScalarNode {
			percent, err := strconv.Atoi(number)
			if err != nil || percent < 1 || percent > 100 || strconv.Itoa(percent) != number {
				v.fail("", "want 1%% to 100%%, found %s", v.found())
				return Share{}
			}
			return Share{Percent: percent}
		}
		n, _ := v.whole(1, math.MaxInt32)
		return Share{Number: n}
	})
}

// checkStandby compares the tiers of a pool with each other.
func (s *virtualServer) checkStandby(o object) {
	primaries := 0
	for _, rs := range s.servers {
		if rs.v.Role == Regular {
			primaries++
		}
	}
	switch {
	case len(s.servers) == 0:
	case primaries == 0:
		o.locate("real_servers").fail("remove standby from one of them", "all are standby servers")
	case primaries == len(s.servers):
		for _, name := range []string{"primaries_needed", "fail_back"} {
			if v, given := o.fields[name]; given {
				v.fail("add standby: true to a real server", "has no effect without a standby server")
			}
		}
	case s.PrimariesNeeded.Of(primaries) > primaries:
		o.locate("primaries_needed").fail("", "%d of %s can never be up", s.PrimariesNeeded.Of(primaries), count(primaries, "primary server"))
	case s.PanicThreshold > 0:
		o.locate("panic_threshold").fail("remove it", "cannot be used with standby servers, which take the place of those that fail")
	default:
		s.warnIdle(o)
	}
}

// warnIdle warns about tiers that are idle because of weights of 0. They are no mistakes: that is how a file drains a server.
func (s *virtualServer) warnIdle(o object) {
	primaries, standby := 0, 0
	for _, rs := range s.servers {
		switch {
		case rs.v.Weight == 0 && !rs.v.WeightByCheck():
		case rs.v.Role == Standby:
			standby++
		default:
			primaries++
		}
	}
	switch needed := s.PrimariesNeeded.Of(primaries); {
	case primaries+standby == 0: // warnWeights
	case standby == 0:
		o.locate("real_servers").warn("give one of them a weight of 1 or more", "no standby server is ever used: their weights are 0")
	case needed > primaries:
		o.locate("real_servers").warn("give more of the others a weight of 1 or more", "the standby servers always have the connections: %d of the others must be up, and %d can be", needed, primaries)
	}
}
