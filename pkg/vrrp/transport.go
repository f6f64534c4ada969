package vrrp

import (
	"net/netip"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// Transport is how the adverts of a virtual router travel. The zero value is multicast to the group of the address
// family.
type Transport struct {
	// Group is the multicast group; invalid means that of the family. A router that uses unicast sends nothing to it.
	Group netip.Addr
	// Unicast sends adverts to each of the Peers, and accepts those of the Peers only.
	Unicast bool
	Peers   []netip.Addr
	// LeastTTL is the least TTL (IPv6: hop limit) of an advert received by unicast; 0 means 255: a peer on the link. A
	// router on the way decrements it by 1.
	LeastTTL uint8
	// From is the source MAC address of multicast adverts (RFC 9568, section 7.2); the zero value is that of the interface.
	From kernel.MAC
}

// Equal reports whether t and u are the same.
func (t Transport) Equal(u Transport) bool {
	return t.Group == u.Group && t.Unicast == u.Unicast && t.LeastTTL == u.LeastTTL && t.From == u.From && slices.Equal(t.Peers, u.Peers)
}

// GroupOf returns the multicast group in an address family.
func (t Transport) GroupOf(family kernel.Family) netip.Addr {
	if t.Group.IsValid() {
		return t.Group
	}
	return Group(family)
}

// Destinations returns the addresses to which an advert of a family is sent. There are none for a unicast router without
// peers.
func (t Transport) Destinations(family kernel.Family) []netip.Addr {
	if t.Unicast {
		return t.Peers
	}
	return []netip.Addr{t.GroupOf(family)}
}

// AcceptedTTL returns the least TTL of an advert that is accepted, 1-255.
func (t Transport) AcceptedTTL() uint8 {
	if !t.Unicast || t.LeastTTL == 0 {
		return TTL
	}
	return t.LeastTTL
}

// misdirection is what is wrong with the destination of a packet, or with its source if adverts travel by unicast.
func (t Transport) misdirection(source, destination netip.Addr) DropReason {
	switch {
	case t.Unicast && !slices.Contains(t.Peers, source):
		return DropNotPeer
	case t.Unicast && destination.IsMulticast():
		return DropMulticast
	case t.Unicast, destination == t.GroupOf(kernel.FamilyOf(source)):
		return DropNone
	case destination.IsMulticast():
		return DropGroup
	}
	return DropUnicast
}
