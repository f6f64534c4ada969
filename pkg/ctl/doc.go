// Package ctl is the operator's tool lvsctl: its verbs, as a cobra command that a test can run. It reads files and talks
// to the daemons' sockets; it touches no kernel.
package ctl
