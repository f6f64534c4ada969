package kernel

import (
	"net/netip"
	"slices"
)

// ReturnTable is the name of the nf_tables table, of the family inet, with the rules for ReturnPath. Every table of this name is
// ours; no other is touched.
const ReturnTable = "lvs_director_return_path"

// ReturnPath says what keeps the answers of real servers with forward: nat on their way through this host. The zero value needs no
// rules.
type ReturnPath struct {
	// Unredirected are real servers of IPv6 to which this host sends no redirect (RFC 4861 section 8): one in the network of its
	// clients would answer them directly, from an address to which they have not connected. Sorted, without duplicates. The kernel
	// has a setting for those of IPv4 only.
	Unredirected []netip.Addr
}

// None reports whether no rules are needed.
func (r ReturnPath) None() bool { return len(r.Unredirected) == 0 }

// Equal reports whether both need the same rules.
func (r ReturnPath) Equal(b ReturnPath) bool { return slices.Equal(r.Unredirected, b.Unredirected) }
