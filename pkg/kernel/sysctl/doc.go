// Package sysctl reads and sets kernel parameters under /proc/sys. It writes a
// value only where another one stands, and says which values it found, so that
// the caller can record them before and return them after.
//
// Keys are written as for sysctl(8): with dots, or with slashes where a part
// contains a dot itself, as the interface of "net/ipv4/conf/eth0.5/arp_ignore".
//
// It holds no opinion about which values are right, keeps no state, executes
// nothing, and creates no file: a parameter that the kernel does not have is
// ErrMissing.
package sysctl
