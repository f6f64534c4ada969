// Package hostrules says which packet filter rules a cluster file implies for one of its machines: what a director and a real
// server must receive, and from whom, and the text of these rules for nft and for iptables-restore.
//
// It installs nothing and reads no rules of the machine: package kernel/firewall judges those. It has no rules for what
// the machine does besides, such as ssh, nor for what it sends, and drops only what the daemons themselves would
// otherwise believe: adverts and synchronization messages of strangers, and packets of other clients, if the clients are
// named.
package hostrules
