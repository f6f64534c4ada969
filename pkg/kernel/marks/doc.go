// Package marks keeps the nf_tables table of this daemon that gives packets to virtual servers a firewall mark (kernel.Marking):
// in the hook input, before IPVS, and in the hook output for the programs of this host.
//
// It marks no packet that is forwarded, and keeps the marks of all others. It does not restore the table by itself, see package
// reconcile.
package marks
