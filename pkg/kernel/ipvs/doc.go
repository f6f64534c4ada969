// Package ipvs is the kernel's IPVS table, read and written over generic netlink, for the network namespace of the
// thread that opens it.
//
// It speaks the protocol itself and takes from github.com/moby/ipvs the values and constants: that library's own
// transport runs modprobe, waits for ever for a lost answer and reports success where IPVS is absent. This one executes
// nothing, ends every conversation by its context, and tells an absent module, a missing scheduler and a missing
// permission apart.
//
// It refuses to decide anything: package lvs says what the table shall be and which steps lead there.
package ipvs
