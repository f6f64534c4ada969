// Package election runs the VRRP elections: one actor (a goroutine) per VRRP instance around the state machine of
// package vrrp, and one link per segment (a network interface in one address family) that passes the datagrams of its
// socket to the actors.
//
// An actor decides nothing: it passes datagrams, time and commands to the machine and carries out the actions in order.
// It never waits for checks, hooks, tables or address changes: it only passes its requests for the VIPs on.
package election
