// Package lvs models virtual servers as values: the desired IPVS table (Desired), the operations that change the actual
// table to it (Diff), and a model of their effect in the kernel (Apply).
//
// Entries alone has the rules that decide which real servers are in a pool, and with which weights.
//
// The package accesses no kernel, clock or log: package kernel/ipvs executes the operations.
package lvs
