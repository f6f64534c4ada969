// Package neigh announces a VIP to the neighbours on a link: it sends gratuitous ARP in its two forms, the request (RFC
// 5227 section 3, as keepalived does) and the reply (RFC 5944 section 4.6), because some switches and hosts update
// their tables on only one of them. It also tells which other machines claim an address of ours (RFC 5227 section 2.4).
//
// The socket that sends never receives: it is bound without a protocol, so that the kernel queues nothing for it. The
// package does not repeat announcements and does not react to claims; the caller decides when and how often to announce.
// It refuses non-Ethernet interfaces, and IPv6 (ErrNotIPv4), whose neighbour advertisements are another protocol (RFC
// 4861, section 7.2.6).
package neigh
