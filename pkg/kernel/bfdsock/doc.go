// Package bfdsock sends and receives the control packets of single-hop BFD sessions (RFC 5881): UDP port 3784, source
// ports from 49152, TTL or hop limit 255, DSCP CS6, in both address families.
//
// A Listener receives the packets of all sessions of one interface and family, a Sender sends those of one session. Both
// are bound to the interface. Packets are passed on unchecked, with their TTL: the reader must discard those whose TTL is
// not 255 (RFC 5881 section 5). No call blocks for longer than half a second.
//
// It refuses to share port 3784 with another BFD daemon of the network namespace: ErrInUse.
package bfdsock
