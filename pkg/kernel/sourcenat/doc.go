// Package sourcenat makes the nf_tables table of this daemon that replaces the source address of clients in what IPVS sends to real
// servers (kernel.SourceNAT). IPVS must track these connections (net.ipv4.vs.conntrack); the kernel translates the answers back.
//
// It touches no connection that was opened to another address than that of a virtual server, such as the checks of this host, and
// leaves the choice of the address to the kernel. It does not restore the table, see package reconcile.
package sourcenat
