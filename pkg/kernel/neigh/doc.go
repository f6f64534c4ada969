// Package neigh announces a VIP to the neighbours on a link. For IPv4 it sends gratuitous ARP in its two forms, the request
// (RFC 5227 section 3, as keepalived does) and the reply (RFC 5944 section 4.6), because some switches and hosts update
// their tables on only one of them; for IPv6 an unsolicited neighbour advertisement (RFC 4861 section 7.2.6, RFC 9568
// section 6.4.1). It also tells which other machines claim an address of ours (RFC 5227 section 2.4), and whether any other machine is
// heard on a link.
//
// The socket that sends never receives: it is bound without a protocol, so that the kernel queues nothing for it. The
// package does not repeat announcements and does not react to claims; the caller decides when and how often to announce.
// It refuses non-Ethernet interfaces.
package neigh
