// Package statefile is a daemon's state file: a record of what it has changed in this kernel and of the values that it found
// before, and of what operators have decided. After a crash the next start learns from it which addresses and services are
// its own and which sysctl values to restore. Its lock also prevents a second daemon from using the same state directory.
//
// It makes no decisions and never reads the kernel, and its entries about the kernel are valid only in the boot and the
// network namespace in which they were written. Entries are saved before the kernel is changed. A full, read-only or missing
// disk does not keep a daemon from serving: the state is then kept in memory, which is reported, and is saved as soon
// as possible.
package statefile
