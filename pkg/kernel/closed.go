package kernel

import (
	"cmp"
	"net/netip"
	"slices"
)

// ClosedTable is the name of the nf_tables table, of the family inet, with the rules for Closed. Every table of this name is
// ours; no other is touched.
const ClosedTable = "lvs_director_accept_mode"

// Closed are virtual addresses that accept no packets (Accept_Mode False, RFC 9568 section 6.1) but those for virtual
// servers. The zero value has none, and needs no rules.
type Closed struct {
	Addresses []netip.Addr // sorted, without duplicates
	Open      []Endpoint   // on Addresses, sorted, without duplicates
	Marks     []Mark       // of packets to Addresses, sorted, without duplicates
}

// Endpoint is a port of a transport protocol at an address.
type Endpoint struct {
	Protocol uint8          // as in the IP header: 6 is TCP
	At       netip.AddrPort // port 0: every port
}

// Mark is a firewall mark of packets of a family.
type Mark struct {
	Family Family
	Value  uint32 // never 0
}

// Compare orders marks.
func (m Mark) Compare(b Mark) int {
	return cmp.Or(cmp.Compare(m.Family, b.Family), cmp.Compare(m.Value, b.Value))
}

// Compare orders endpoints.
func (e Endpoint) Compare(b Endpoint) int {
	if c := e.At.Compare(b.At); c != 0 {
		return c
	}
	return int(e.Protocol) - int(b.Protocol)
}

// None reports whether no rules are needed.
func (c Closed) None() bool { return len(c.Addresses) == 0 }

// Equal reports whether both need the same rules.
func (c Closed) Equal(b Closed) bool {
	return slices.Equal(c.Addresses, b.Addresses) && slices.Equal(c.Open, b.Open) && slices.Equal(c.Marks, b.Marks)
}
