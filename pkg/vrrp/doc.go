// Package vrrp implements the Virtual Router Redundancy Protocol without side effects: the packets of versions 2 (RFC
// 3768) and 3 (RFC 9568), the timers, the rules for accepting a packet, and the election as a state machine that turns
// events into actions.
//
// It performs no I/O: it opens no socket, reads no clock, starts no goroutine and writes no log. The owner of a Machine
// passes in the time and the received adverts, and carries out the returned actions in order. The same events at the
// same times give the same actions, so a Trace of a machine can be replayed in a test.
package vrrp
