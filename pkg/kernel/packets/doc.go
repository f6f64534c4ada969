// Package packets records the packets of this network namespace that show how a cluster works, as a file for tcpdump -r and
// Wireshark: ARP, neighbour discovery and other ICMP, IGMP, VRRP, BFD, messages of the connection synchronization, and the begin
// and end of TCP connections.
//
// It keeps the headers only: no password of an advert, and nothing that clients and servers tell each other. Packets with data
// do not reach it, so that a director with much traffic can afford it. It judges nothing.
package packets
