// Package addr puts addresses on network interfaces and takes them away, lists
// what is there, and tells of changes.
//
// A VIP is put with a lease: a lifetime after which the kernel removes the
// address by itself, so that a daemon that was killed or hangs loses its VIP
// without anyone's help. The holder renews the lease by putting the address
// again. Two facts about renewal that callers have to know:
//
//   - It is an RTM_NEWADDR like the first one, so it re-creates an address that
//     has gone in the meantime. Whoever may no longer hold the VIP must not
//     renew it; this package cannot tell.
//   - Each renewal is announced to every netlink listener, [Watch] included, as
//     an address that was added.
//
// The kernel counts lifetimes in whole seconds and looks at them lazily: a
// lease of 1, 2, 3 or 5 s was seen to end after 1.02 to 5.26 s. A suspended
// machine does not count at all.
//
// The package refuses prefixes wider than one address for VIPs: removing the
// first address of a subnet removes the others of that subnet too, unless
// promote_secondaries is set (Linux net/ipv4/devinet.c, __inet_del_ifa). It
// holds no opinion about whose an address is, remembers only which interface it
// put an address on, for one that is renamed, and starts no goroutine of its own.
package addr
