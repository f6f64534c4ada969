// Package neigh tells the neighbours on a link where a VIP lives now: gratuitous
// ARP in its two forms, the request (RFC 5227 section 3, what keepalived sends)
// and the reply (RFC 5944 section 4.6), because some switches and hosts update
// their tables on one of them only.
//
// It sends and never listens: its socket is bound without a protocol, so that
// the kernel queues nothing for it. It repeats nothing; when and how often to
// announce is the caller's decision. It refuses interfaces that do not speak
// Ethernet, and IPv6 (ErrNotIPv4), whose unsolicited neighbour advertisements are
// another protocol (RFC 4861, section 7.2.6).
package neigh
