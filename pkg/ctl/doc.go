// Package ctl implements lvsctl as a cobra command that tests can run. It reads files and connects to the daemons'
// sockets; it does not access the kernel.
package ctl
