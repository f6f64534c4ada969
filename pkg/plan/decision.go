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

// Emptied returns the names of the virtual servers that take connections, and would not with other decisions. have is the
// content of the kernel's table, from which comes what is known about a server that has not been checked.
func (t Table) Emptied(next Decisions, have []lvs.Service) []string {
	after := t
	after.Decisions = next
	takes := map[lvs.Key]bool{}
	for _, s := range after.Desired(have) {
		takes[s.Key] = s.TakesConnections()
	}
	before := map[lvs.Key]bool{}
	for _, s := range t.Desired(have) {
		before[s.Key] = s.TakesConnections()
	}
	var names []string
	for _, v := range t.Servers {
		if slices.ContainsFunc(lvs.KeysOf(v), func(k lvs.Key) bool { return before[k] && !takes[k] }) {
			names = append(names, v.Name)
		}
	}
	return names
}
