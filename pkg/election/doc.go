// Package election runs the VRRP elections: one actor, one goroutine per VRRP instance, around the pure machine of
// package vrrp, and one link per segment (a network interface in one address family) that hands the datagrams of its socket to the actors.
//
// An actor decides nothing: it feeds the machine with datagrams, time and commands and carries out the actions in their
// order. It never waits for checks, hooks, tables or address changes: what it wants of the VIPs it only says.
package election
