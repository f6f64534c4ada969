package kernel

import "net/netip"

// Family is an address family. The zero value is none.
type Family uint8

// The families, by the version of their protocol.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// FamilyOf returns the family of an address; none for the zero Addr. As in netip, an IPv4-mapped IPv6 address belongs
// to IPv6: code that accepts external addresses must unmap or refuse them.
func FamilyOf(a netip.Addr) Family {
	switch {
	case a.Is4():
		return IPv4
	case a.Is6():
		return IPv6
	default:
		return 0
	}
}

// String returns "IPv4", "IPv6" or "no address family".
func (f Family) String() string {
	switch f {
	case IPv4:
		return "IPv4"
	case IPv6:
		return "IPv6"
	default:
		return "no address family"
	}
}

// Unspecified returns 0.0.0.0 or ::, which means every address of the family; invalid for none.
func (f Family) Unspecified() netip.Addr {
	switch f {
	case IPv4:
		return netip.IPv4Unspecified()
	case IPv6:
		return netip.IPv6Unspecified()
	default:
		return netip.Addr{}
	}
}
