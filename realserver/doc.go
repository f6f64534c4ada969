// Package realserver is the agent on a real server: it keeps in place what the forwarding methods need on that side, and
// gives everything back when it stops.
//
//   - forward: dr — the VIP as /32 on lo, and on all interfaces arp_ignore=1 and arp_announce=2, so that this machine
//     takes packets for the VIP but neither answers ARP requests for it nor names it in its own.
//   - forward: tun — the same with the VIP on tunl0, which is up and has a loose rp_filter.
//   - forward: nat — nothing; it says when answers would not leave through a director.
//
// A VIP of IPv6 is refused for dr and tun, and reported: its sysctls, its tunnel (ip6tnl0) and what keeps it silent in
// neighbour discovery are others. Addresses are of either family everywhere else.
//
// What is to be is a pure function of the cluster file and the links that exist (Desired); Diff compares it with what is
// there. One goroutine carries the difference out: at the start, on every address and link event, and every half second
// for the sysctls, which have no events.
//
// The agent touches only VIPs that the cluster file gives to this node, those that an earlier run recorded, and the
// sysctls named above. An address that somebody else put there, like the VIP with a wide prefix or on a network card, is
// reported and left alone. It never puts a VIP where the machine would answer ARP for it: that would take the VIP from
// the director.
package realserver
