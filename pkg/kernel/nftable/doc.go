// Package nftable keeps nf_tables tables of this daemon, which it replaces as a whole in one transaction. Each is of the family
// inet, which has the packets of IPv4 and IPv6; a kernel without it (CONFIG_NF_TABLES_INET) is an error, kernel.ErrNoNFTables.
//
// It does not know what the rules are for (packages marks, quiet and vipfilter), does not restore a table by itself (package
// reconcile), and reads and changes no table of another name.
package nftable
