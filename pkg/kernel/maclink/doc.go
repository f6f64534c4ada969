// Package maclink adds and removes the interfaces on which VIPs are when they are not on an interface of the machine: a
// macvlan with the MAC address of a virtual router, or an ipvlan. Which of those that exist belong to this daemon is decided
// by its callers; it never changes an interface that is there, except to remove one that still is what it is told to remove.
//
// It adds no addresses, and does not set the interface up: see package addr.
//
// A macvlan has mode bridge, unlike keepalived's, which has mode private. Frames from outside whose source is the MAC address
// of a macvlan that is up, which are those of another MASTER of the same virtual router, then still reach the interface
// below, where the adverts are received; with mode private the kernel passes them to the macvlan only
// (macvlan_handle_frame in drivers/net/macvlan.c).
package maclink
