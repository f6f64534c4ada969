// Package election runs the VRRP elections: one actor (a goroutine) per VRRP instance around the state machine of
// package vrrp, and one link per segment (a network interface in one address family) that passes the datagrams of its
// socket to the actors.
//
// A link hands each datagram to the actor through an inbox, and wakes it. Only in BACKUP, before the machine's timer has
// expired, it runs the machine of the actor itself: then a datagram can at most change the timer.
//
// An actor decides nothing: it passes datagrams, time and commands to the machine and carries out the actions in order.
// It never waits for checks, hooks, tables or address changes: it only passes its requests for the VIPs on.
package election
