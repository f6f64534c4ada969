// Package realserver is the agent on a real server: it maintains what the forwarding methods need there, and undoes
// everything when it stops.
//
//   - forward: dr — the VIP as /32 on lo, and on all interfaces arp_ignore=1 and arp_announce=2, so that this machine
//     accepts packets for the VIP but neither answers ARP requests for it nor uses it in its own.
//   - forward: tun — the same with the VIP on tunl0, which is up and has a loose rp_filter.
//     With GRE the VIP is on gre0, or on grecsum0 for GRE with checksums; with GUE, on tunl0, to which the kernel
//     unpacks it.
//     IPv6 in IPv4 arrives on sit0, both in IPv6 on ip6any0, a device of the administrator.
//   - forward: nat — nothing; it reports when answers would not leave through a director.
//
// An IPv6 VIP is a /128 without duplicate address detection, and needs no sysctls but disable_ipv6=0 of its interface: an interface answers
// neighbour solicitations for its own addresses only. GRE and GUE with IPv6 are refused, and reported.
//
// The desired state is a pure function of the cluster file and the existing links (Desired); Diff compares it with the
// actual state. One goroutine applies the difference: at the start, on every address and link event, and every half
// second for the sysctls, for which there are no events.
//
// The agent changes only the VIPs that the cluster file assigns to this node, those that an earlier run recorded, and
// the sysctls named above. An address that another process added, such as the VIP with a wide prefix or on a network
// card, is reported and not changed. The agent never adds a VIP while the machine would answer ARP for it: that would
// take the VIP from the director.
package realserver
