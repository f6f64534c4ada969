// Package reconcile holds the two loops that bring the kernel to the desired state and keep it there: the address loop
// (VIPs, their leases, gratuitous ARP) and the table loop (IPVS). They share nothing, so that a table of ten thousand
// servers cannot delay a failover.
//
// Both are level-triggered: they are told what is wanted, look at what is there and carry out the difference. Neither
// decides who is MASTER or which real server is healthy, and neither ever flushes anything.
package reconcile
