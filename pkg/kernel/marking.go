package kernel

import (
	"cmp"
	"slices"
)

// MarkTable is the name of the nf_tables table, of the family inet, with the rules for Marking. Every table of this name is ours;
// no other is touched.
const MarkTable = "lvs_director_marks"

// OwnTable reports whether a table of the family inet is one of this program.
func OwnTable(name string) bool {
	return name == ClosedTable || name == MarkTable || name == QuietTable
}

// Marking says which packets get a firewall mark before IPVS sees them. The zero value marks none, and needs no rules.
type Marking struct {
	Endpoints []MarkedEndpoint // sorted, each endpoint once
}

// MarkedEndpoint is an endpoint, and the mark of the packets to it.
type MarkedEndpoint struct {
	Endpoint
	Mark uint32 // never 0
}

// Compare orders marked endpoints.
func (m MarkedEndpoint) Compare(b MarkedEndpoint) int {
	return cmp.Or(m.Endpoint.Compare(b.Endpoint), cmp.Compare(m.Mark, b.Mark))
}

// None reports whether no packet is marked.
func (m Marking) None() bool { return len(m.Endpoints) == 0 }

// Equal reports whether both need the same rules.
func (m Marking) Equal(b Marking) bool { return slices.Equal(m.Endpoints, b.Endpoints) }
