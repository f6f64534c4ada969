// Package syncmsg is the wire format of the connection synchronization of IPVS, version 1, as the kernel's daemons send and
// receive it (net/netfilter/ipvs/ip_vs_sync.c: ip_vs_sync_mesg, ip_vs_sync_v4, ip_vs_sync_v6), and of the notes that directors
// add to it.
//
// A message has connections, a note has none: it is a message with a count of zero, followed by bytes that the kernel does
// not look at. So notes have the port, the group and the firewall rules of the messages, and daemons of other programs ignore
// them.
//
// It does not read or write version 0, which has no IPv6 and no timeouts. It opens no socket.
package syncmsg
