// Package returnpath makes the nf_tables table of this daemon that keeps the answers of real servers with forward: nat on their way
// through this host (kernel.ReturnPath): it drops the ICMPv6 redirects that this host would send them.
//
// It drops no other packet, and none that is forwarded. It does not restore the table, see package reconcile.
package returnpath
