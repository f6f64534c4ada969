// Package rtnl opens sockets of route netlink whose requests have a deadline, and reads tables of the kernel that may change
// meanwhile. It knows no table.
package rtnl
