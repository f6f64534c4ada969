// Package vipfilter makes the nf_tables table of this daemon that drops the packets to virtual addresses which accept none
// (kernel.Closed). The chain comes after IPVS in the hook input, so that what IPVS takes never reaches it. iptables cannot do
// that: no table of it that may drop packets comes after IPVS.
//
// It does not restore the table, see package reconcile, and judges no packets, see package firewall.
package vipfilter
