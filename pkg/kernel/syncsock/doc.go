// Package syncsock sends and receives the datagrams of IPVS's connection synchronization (package syncmsg) beside the
// kernel's daemons: UDP to a multicast group of IPv4 on one interface, from an address that the caller names, so that a
// virtual address is never the source.
//
// The kernel's backup daemon shares the port: each receives every datagram. A host does not receive its own. Datagrams are
// passed on unchecked. No call blocks for longer than its caller says.
//
// A socket stays bound to the interface and the address as they were when it was opened: the caller opens another one if they
// change.
package syncsock
