// Package vipfilter keeps the nf_tables table of this daemon, which drops the packets to virtual addresses that accept none
// (kernel.Closed). The chain comes after IPVS in the hook input, so that what IPVS takes never reaches it.
//
// The table is replaced as a whole in one transaction, and is the only one that is read or changed. The kernel has IPv4 and
// IPv6 in one table of the family inet; a kernel without it (CONFIG_NF_TABLES_INET) is an error, ErrNoNFTables. iptables
// cannot do it: no table of it that may drop packets comes after IPVS.
//
// It does not restore a table by itself, see package reconcile, and judges no packets, see package firewall.
package vipfilter
