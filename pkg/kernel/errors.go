package kernel

import "errors"

// Errors that callers branch on, from any part of the kernel. ErrNotPermitted is wrapped with the missing privilege.
var (
	// ErrNotPermitted: the process lacks a privilege.
	ErrNotPermitted = errors.New("not permitted")
	// ErrNoInterface: the named interface does not exist, or no longer exists.
	ErrNoInterface = errors.New("no such network interface (see: ip link)")
	// ErrNoNeighbours: nobody can be told where an address is, because the interface has neither Ethernet addresses nor ARP
	// (IFF_NOARP), as a tunnel: routes lead to its addresses.
	ErrNoNeighbours = errors.New("the interface has no ARP")
	// ErrNoNFTables: the kernel cannot have nf_tables rules. The caller adds the remedy, which depends on what needs them.
	ErrNoNFTables = errors.New("this kernel has no nf_tables for IPv4 and IPv6 (CONFIG_NF_TABLES, CONFIG_NF_TABLES_INET)")
)
