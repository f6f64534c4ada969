// Package director composes the director daemon: it creates the loops (elections, checks, addresses, table, watchers),
// keeps the inputs of package plan up to date, and passes each loop its part of the plan.
//
// It makes no decisions of its own: package plan decides the desired state and the order of changes, package vrrp who
// is MASTER, package lvs which real server takes connections. It accesses the host only through its Kernel. It executes
// no program and loads no kernel module.
package director
