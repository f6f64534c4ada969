// Package bfd is Bidirectional Forwarding Detection (RFC 5880) for single-hop sessions (RFC 5881) in asynchronous mode:
// control packets, and the session as a state machine, with events in and actions out.
//
// It has no authentication: a packet with the Authentication Present bit is discarded. It has no echo function, never
// uses demand mode itself (it respects that of the neighbour), and no multihop and multipoint sessions. It opens no
// socket, reads no clock and draws no random number.
package bfd
