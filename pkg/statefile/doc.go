// Package statefile is a daemon's state file: what it has put into this kernel and what it found there before. A daemon that
// was killed reads it at its next start and so knows which addresses and services are its own and which sysctl values
// to give back. It is also the lock that keeps a second daemon away from the same state directory.
//
// It judges nothing: it never looks at the kernel, and what it says is worth something only in the boot
// and the network namespace in which it was written. Entries are saved before the kernel is changed. A disk that is full,
// read-only or gone is no reason for a daemon not to serve: then the state file is kept in memory, says so, and is saved as
// soon as that is possible.
package statefile
