package vrrp

import (
	"cmp"
	"net/netip"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// Segment is the scope in which virtual router IDs are unique: a network interface and an address family. Virtual
// routers of the two families are independent even if they have the same ID (RFC 9568, section 1). It is comparable.
type Segment struct {
	Interface string
	Family    kernel.Family
}

// String returns the interface, with the family if it is IPv6: "eth0", "eth0 (IPv6)".
func (s Segment) String() string {
	if s.Family == kernel.IPv6 {
		return s.Interface + " (" + s.Family.String() + ")"
	}
	return s.Interface
}

// Compare orders segments by interface, then by family.
func (s Segment) Compare(b Segment) int {
	return cmp.Or(cmp.Compare(s.Interface, b.Interface), cmp.Compare(s.Family, b.Family))
}

// Group returns the multicast group to which adverts of a family are sent; the zero Addr for any other family.
func Group(family kernel.Family) netip.Addr {
	switch family {
	case kernel.IPv4:
		return netip.MustParseAddr("224.0.0.18") // RFC 9568, section 5.1.1.2
	case kernel.IPv6:
		return netip.MustParseAddr("ff02::12") // RFC 9568, section 5.1.2.2
	default:
		return netip.Addr{}
	}
}
