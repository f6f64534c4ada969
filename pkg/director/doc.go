// Package director is the composition of the director daemon: it makes the loops (elections, checks, addresses, table, and
// those that watch), keeps the inputs of package plan up to date, and tells each loop what the plan wants of it.
//
// It decides nothing by itself: what is wanted, and in which order, is package plan's decision, who is MASTER package
// vrrp's, which real server takes connections package lvs's. It touches the machine only through its Kernel. It executes no
// program and loads no kernel module.
package director
