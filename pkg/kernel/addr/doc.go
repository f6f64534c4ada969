// Package addr adds, removes and lists addresses of network interfaces, and watches for changes.
//
// A VIP is added with a lease: a lifetime after which the kernel removes the address, so that a daemon that was killed
// or hangs loses its VIP without any other process. The daemon renews the lease by putting the address again. Callers
// must know two facts about renewals:
//
//   - It is an RTM_NEWADDR like the first one, so it re-creates an address that
//     has gone in the meantime. A caller that may have lost the VIP must not
//     renew it; this package cannot detect that.
//   - Each renewal is announced to every netlink listener, [Watch] included, as
//     an address that was added.
//
// The kernel counts lifetimes in whole seconds with a coarse timer: leases of 1, 2, 3 and 5 s were seen to end after
// 1.02 to 5.26 s. The timer does not run while the machine is suspended.
//
// The package refuses prefixes wider than one address for VIPs: removing the first address of a subnet removes the
// others of that subnet too, unless promote_secondaries is set (Linux net/ipv4/devinet.c, __inet_del_ifa). It does not
// decide who owns an address, remembers only on which interface it put an address, in case that is renamed, and starts
// no goroutines.
package addr
