// Package reconcile contains the loops that bring the kernel to the desired state and keep it there: the address loop
// (VIPs, their leases and announcements), the route loop (routes and rules that follow the VIPs), the link loop (interfaces
// for VIPs), the table loop (IPVS), the sysctl loop and the loop of the packet filter rules for VIPs that accept no packets.
// They share nothing, so that a table of ten thousand servers cannot delay a failover.
//
// All are level-triggered: they are given the desired state, read the actual state and apply the difference. None of
// them decides who is MASTER or which real server is healthy, and none ever flushes anything.
package reconcile
