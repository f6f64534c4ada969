// Package vrrpsock sends and receives VRRP adverts: IP protocol 112, sent to 224.0.0.18 with TTL 255 and DSCP CS6 (RFC
// 9568 section 5.1.1, RFC 3768 section 5.2).
//
// A socket is bound to one interface and is a member of the multicast group on that interface only. It does not receive
// its own adverts, and receives those of every virtual router on the link. It passes packets on unchecked: the reader
// tells the virtual routers apart and checks TTL, destination and content. The caller specifies the source of each
// advert, because the kernel could choose a VIP, which must never be a source.
//
// It refuses interfaces without multicast, destinations other than the group, and IPv6 (ErrIPv6): a raw IPv6 socket
// delivers no IP header (RFC 3542), so that hop limit and destination must be obtained in another way, and the filter
// sees a different packet.
package vrrpsock
