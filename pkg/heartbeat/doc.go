// Package heartbeat is the proof that loops make progress: each loop beats once a turn, and a Monitor finds those that have
// not for a while.
//
// Time is what the watching process itself lived through. A process that was stopped, or a machine that was suspended,
// makes no loop look dead. The package reads no clock, starts nothing and judges nothing: how long is too long is its
// caller's affair.
package heartbeat
