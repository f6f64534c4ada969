// Package director is the composition of the director daemon: it builds the loops (elections, checks, addresses, table)
// from a cluster file, wires what one says to what another wants to know, reloads, and says how everything stands.
//
// It decides nothing by itself: who is MASTER is package vrrp's decision, which real server takes connections package
// lvs's. It executes no program and loads no kernel module.
package director
