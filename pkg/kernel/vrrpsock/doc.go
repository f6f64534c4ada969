// Package vrrpsock sends and receives VRRP adverts: IP protocol 112, sent to a multicast group or to other routers, with a
// TTL or hop limit of 255, and DSCP CS6 (RFC 9568 section 5.1, RFC 3768 section 5.2).
//
// A socket is bound to one interface. It receives what is sent to addresses of this host, and to the multicast groups that
// it has joined on that interface. It does not receive its own adverts, and receives those of every virtual router. It
// passes packets on unchecked: the reader tells the virtual routers apart and checks TTL, destination and content. The
// caller specifies the source of each advert, because the kernel could choose a VIP, which must never be a source.
//
// Both families behave alike. What differs is in a wire: a raw IPv6 socket delivers no IP header (RFC 3542), so that hop
// limit and destination come as control messages, and its filter sees another part of the packet.
//
// For a reader of many virtual routers, Rest waits without being woken by their adverts. They wait in a second socket, with the
// time at which they have come; only what is urgent wakes the reader.
//
// It refuses to join a group on interfaces without multicast.
package vrrpsock
