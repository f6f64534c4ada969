// Package sysctl reads and sets kernel parameters under /proc/sys. It writes a value only if the current one differs,
// and returns the previous value, so that the caller can record and restore it.
//
// Keys are written as for sysctl(8): with dots, or with slashes where a part contains a dot itself, as the interface of
// "net/ipv4/conf/eth0.5/arp_ignore".
//
// It does not decide which values are right, keeps no state, executes nothing, and creates no file: a parameter that
// the kernel does not have gives ErrMissing.
package sysctl
