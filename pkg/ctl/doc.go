// Package ctl implements lvsctl as a cobra command that tests can run. It reads files and connects to the daemons'
// sockets. It does not access the kernel; for a bundle it runs the programs that show the kernel's tables.
package ctl
