package kernel

import (
	"net/netip"
	"slices"
)

// QuietTable is the name of the nf_tables table, of the family inet, with the rules for Quiet. Every table of this name is ours;
// no other is touched.
const QuietTable = "lvs_director_take_over"

// Quiet says which connections are not reset although this host does not know them: IPVS will in a moment. The zero value needs no
// rules.
type Quiet struct {
	// Addresses are virtual ones that do not answer packets of unknown connections of TCP with a reset; an attempt to connect is
	// refused as ever. Sorted, without duplicates.
	Addresses []netip.Addr
}

// None reports whether no rules are needed.
func (q Quiet) None() bool { return len(q.Addresses) == 0 }

// Equal reports whether both need the same rules.
func (q Quiet) Equal(b Quiet) bool {
	return slices.Equal(q.Addresses, b.Addresses)
}
