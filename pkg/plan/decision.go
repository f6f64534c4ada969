package plan

import (
	"cmp"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// Decisions are what operators have decided about real servers. They are immutable; nil has none.
type Decisions map[config.ServerID]lvs.Decision

// Of returns the decision about a real server; the zero value if there is none.
func (d Decisions) Of(server config.ServerID) lvs.Decision { return d[server] }

// admits reports whether a real server may have new connections: neither an operator nor its weight prevents that.
func (d Decisions) admits(server config.ServerID, configured int) bool {
	own := d.Of(server)
	return own.Admission == lvs.Admitted && cmp.Or(own.Weight, configured) > 0
}

// Emptied returns the names of the virtual servers whose real servers take connections, and would not with other decisions,
// whether there are sorry servers or not; and of those where sorry servers, or servers whose checks fail, take them and nobody
// would. have is the content of the kernel's table, from which comes what is known about a server that has not been checked.
func (t Table) Emptied(next Decisions, have []lvs.Service) []string {
	after := t
	after.Decisions = next
	after = after.remembering(t.Memories, beginning{})
	before, now := t.taking(have), after.taking(have)
	var names []string
	for _, v := range t.Servers {
		stops := func(k lvs.Key) bool {
			return before.healthy[k] && !now.healthy[k] || before.any[k] && !now.any[k]
		}
		if slices.ContainsFunc(lvs.KeysOf(v), stops) {
			names = append(names, v.Name)
		}
	}
	return names
}

// taking are the services that take connections: of any server, and of real servers whose checks do not fail.
type taking struct{ any, healthy map[lvs.Key]bool }

func (t Table) taking(have []lvs.Service) taking {
	takes := taking{map[lvs.Key]bool{}, map[lvs.Key]bool{}}
	for _, s := range t.Desired(have) {
		takes.any[s.Key] = s.TakesConnections()
	}
	for _, v := range t.Servers {
		healthy := t.healthy(v)
		for _, k := range lvs.KeysOf(v) {
			takes.healthy[k] = healthy && takes.any[k]
		}
	}
	return takes
}
