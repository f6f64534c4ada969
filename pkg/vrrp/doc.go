// Package vrrp is the Virtual Router Redundancy Protocol as pure values: the packets of versions 2 (RFC 3768) and
// 3 (RFC 9568), the timers, the rules by which a packet is accepted, and the election as a machine that turns events
// into actions.
//
// It refuses to do anything: it opens no socket, reads no clock, starts no goroutine and writes no log. Whoever owns a
// Machine tells it the time and what was heard, and carries out the actions it returns in their order. The same events
// at the same times give the same actions, so that a Trace of a machine replays in a test.
package vrrp
