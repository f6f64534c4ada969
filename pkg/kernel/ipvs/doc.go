// Package ipvs reads and writes the kernel's IPVS table over generic netlink, in the network namespace of the thread
// that opens it.
//
// It implements the protocol and uses only values and constants of github.com/moby/ipvs: that library's transport runs
// modprobe, waits forever for a lost answer and reports success if IPVS is absent. This package executes nothing, ends
// every exchange with its context, and distinguishes an absent module, a missing scheduler and a missing permission.
//
// It makes no decisions: package lvs determines the desired table and the operations that lead to it.
package ipvs
