// Package quiet makes the nf_tables table of this daemon that drops resets to connections of TCP which a director does not know yet
// (kernel.Quiet): it has just become MASTER, and the former one is about to send them.
//
// It drops nothing that arrives, and no other answer. It does not decide when, and does not restore the table, see package
// reconcile.
package quiet
