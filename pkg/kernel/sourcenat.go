package kernel

import (
	"cmp"
	"net/netip"
	"slices"
)

// SourceNATTable is the name of the nf_tables table, of the family inet, with the rules for SourceNAT. Every table of this name is
// ours; no other is touched.
const SourceNATTable = "lvs_director_source_nat"

// SourceNAT says in which packets to real servers this host replaces the source address by one of its own, so that the answers
// return to it whatever the routes of the real servers are. The zero value replaces none, and needs no rules.
type SourceNAT struct {
	Replaced []Replaced   // sorted, without duplicates
	Servers  []netip.Addr // the real servers with forward: nat; sorted, without duplicates
}

// Replaced are the packets of some clients to a virtual server.
type Replaced struct {
	Clients netip.Prefix // where they come from
	To      Endpoint     // where clients send them; the zero value with a Mark
	Mark    uint32       // the firewall mark that they have instead; 0: none
}

// Compare orders them.
func (r Replaced) Compare(b Replaced) int {
	return cmp.Or(r.Clients.Addr().Compare(b.Clients.Addr()), cmp.Compare(r.Clients.Bits(), b.Clients.Bits()), cmp.Compare(r.Mark, b.Mark), r.To.Compare(b.To))
}

// None reports whether no source address is replaced.
func (s SourceNAT) None() bool { return len(s.Replaced) == 0 }

// Equal reports whether both need the same rules.
func (s SourceNAT) Equal(b SourceNAT) bool {
	return slices.Equal(s.Replaced, b.Replaced) && slices.Equal(s.Servers, b.Servers)
}
