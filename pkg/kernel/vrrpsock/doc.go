// Package vrrpsock carries VRRP adverts: IP protocol 112, sent to 224.0.0.18
// with TTL 255 and DSCP CS6 (RFC 9568 section 5.1.1, RFC 3768 section 5.2).
//
// One socket serves one interface. It is bound to that interface, is a member of
// the group there and nowhere else, does not hear itself, and hears every
// virtual router of the link: telling them apart, and judging TTL, destination
// and content, is the reader's part; this package passes on what arrives. Each
// advert is sent from a source that the caller names: the kernel's own choice
// could be a VIP, which must never be a source.
//
// It refuses interfaces without multicast, destinations other than the group, and
// IPv6 (ErrIPv6): a raw IPv6 socket hands over no header (RFC 3542), so that hop
// limit and destination, and the filter's view of the packet, have to come by
// another way.
package vrrpsock
