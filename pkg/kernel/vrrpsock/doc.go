// Package vrrpsock sends and receives VRRP adverts: IP protocol 112, sent to 224.0.0.18 with TTL 255, or to ff02::12
// with hop limit 255, and DSCP CS6 (RFC 9568 section 5.1, RFC 3768 section 5.2).
//
// A socket is bound to one interface and is a member of the multicast group on that interface only. It does not receive
// its own adverts, and receives those of every virtual router on the link. It passes packets on unchecked: the reader
// tells the virtual routers apart and checks TTL, destination and content. The caller specifies the source of each
// advert, because the kernel could choose a VIP, which must never be a source.
//
// Both families behave alike. What differs is in a wire: a raw IPv6 socket delivers no IP header (RFC 3542), so that hop
// limit and destination come as control messages, and its filter sees another part of the packet.
//
// It refuses interfaces without multicast, and destinations other than the group.
package vrrpsock
