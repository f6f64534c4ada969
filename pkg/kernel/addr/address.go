package addr

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/rtnl"
)

// forever is the kernel's lifetime of a permanent address (INFINITY_LIFE_TIME, include/net/addrconf.h).
const forever = math.MaxUint32

// Address is a snapshot of one address of one interface.
type Address = kernel.Address

// Put adds an address of global scope, without a broadcast address, or renews its lease if it exists; it re-creates one
// that has expired or was removed. The lease is in whole seconds, at least one; 0 makes the address permanent, even one
// that had a lease. The prefix must be a single address (/32 or /128).
//
// Errors: kernel.ErrNoInterface, kernel.ErrNotPermitted, ErrTimeout.
func (h *Handle) Put(iface string, p netip.Prefix, lease time.Duration) error {
	return h.PutAs(iface, p, lease, kernel.Placement{})
}

// PutAs is Put with a label, a scope and a broadcast address; it ignores the interface of the placement. They do not
// change on an address that exists.
func (h *Handle) PutAs(iface string, p netip.Prefix, lease time.Duration, as kernel.Placement) error {
	a, err := vip(p, lease)
	if err != nil {
		return fmt.Errorf("put address %s on %s: %w", p, iface, err)
	}
	a.Label, a.Scope, a.Broadcast = as.Label, int(as.Scope), as.Broadcast.AsSlice()
	link, err := h.find(iface)
	if err == nil {
		err = h.rt.AddrReplace(link, a)
	}
	if err != nil {
		return fmt.Errorf("put address %s on %s: %w", p, iface, rtnl.Translate(err))
	}
	h.mu.Lock()
	before, put := h.where[kernel.IfAddr{Interface: iface, Prefix: p}]
	h.where[kernel.IfAddr{Interface: iface, Prefix: p}] = link.Attrs().Index
	h.mu.Unlock()
	if put && before != link.Attrs().Index { // the name now belongs to another interface
		if err := h.remove(before, p); err != nil {
			return fmt.Errorf("remove address %s from the former %s: %w", p, iface, err)
		}
	}
	return nil
}

// Remove removes an address with exactly this prefix. A missing address or interface is not an error. If this handle
// put the address on an interface that was renamed since, it is removed from there.
//
// Errors: kernel.ErrNotPermitted, ErrTimeout.
func (h *Handle) Remove(iface string, p netip.Prefix) error {
	var failed error
	link, err := h.find(iface)
	if err == nil {
		failed = h.remove(link.Attrs().Index, p)
	} else if err = rtnl.Translate(err); !errors.Is(err, kernel.ErrNoInterface) {
		failed = err
	}
	h.mu.Lock()
	index, put := h.where[kernel.IfAddr{Interface: iface, Prefix: p}]
	h.mu.Unlock()
	if put && (err != nil || link.Attrs().Index != index) {
		failed = errors.Join(failed, h.remove(index, p))
	}
	if failed != nil {
		return fmt.Errorf("remove address %s from %s: %w", p, iface, failed)
	}
	h.mu.Lock()
	delete(h.where, kernel.IfAddr{Interface: iface, Prefix: p})
	h.mu.Unlock()
	return nil
}

// remove removes an address from the interface with an index, if both exist.
func (h *Handle) remove(index int, p netip.Prefix) error {
	err := h.rt.AddrDel(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: index}}, &netlink.Addr{IPNet: ipNet(p)})
	if err == nil || errors.Is(err, unix.EADDRNOTAVAIL) {
		return nil
	}
	if err = rtnl.Translate(err); errors.Is(err, kernel.ErrNoInterface) {
		return nil
	}
	return err
}

// List lists the addresses of one interface, or of all when iface is "", IPv4 and IPv6, in the kernel's order: per
// interface, the first address of a subnet before its secondary ones.
//
// Errors: kernel.ErrNoInterface, ErrTimeout.
func (h *Handle) List(iface string) ([]Address, error) {
	list, err := h.list(iface, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("list addresses%s: %w", on(iface), err)
	}
	return list, nil
}

// ListOn lists the addresses of interfaces that Links has returned, like List. An interface that is gone has none. It saves the
// kernel's list of interfaces, which List reads for their names.
//
// Errors: kernel.ErrTimeout.
func (h *Handle) ListOn(links []Link) ([]Address, error) {
	names := make(map[int]string, len(links))
	for _, l := range links {
		names[l.Index] = l.Name
	}
	list, err := h.listNamed(names, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	return list, nil
}

func (h *Handle) list(iface string, family int) ([]Address, error) {
	names := make(map[int]string)
	if iface == "" {
		links, err := rtnl.Dump(h.rt.LinkList)
		if err != nil {
			return nil, err
		}
		for _, l := range links {
			names[l.Attrs().Index] = l.Attrs().Name
		}
	} else {
		link, err := h.find(iface)
		if err != nil {
			return nil, rtnl.Translate(err)
		}
		names[link.Attrs().Index] = iface
	}
	return h.listNamed(names, family)
}

// listNamed lists the addresses of the interfaces with these indices.
func (h *Handle) listNamed(names map[int]string, family int) ([]Address, error) {
	found, err := rtnl.Dump(func() ([]netlink.Addr, error) { return h.rt.AddrList(nil, family) })
	if err != nil {
		return nil, err
	}
	var list []Address
	for _, a := range found {
		name, wanted := names[a.LinkIndex]
		if p, ok := prefixOf(a.IPNet); ok && wanted {
			list = append(list, Address{
				Interface: name,
				Prefix:    p,
				Valid:     remaining(uint32(a.ValidLft)),
				Label:     a.Label,
				Global:    a.Scope == unix.RT_SCOPE_UNIVERSE,
				Tentative: tentative(a.Flags),
				Duplicate: a.Flags&unix.IFA_F_DADFAILED != 0,
			})
		}
	}
	return list, nil
}

// vip returns a VIP in the form for netlink.
func vip(p netip.Prefix, lease time.Duration) (*netlink.Addr, error) {
	seconds := int64(lease / time.Second)
	switch {
	case !p.IsSingleIP() || p.Addr().Is4In6() || p.Addr().Zone() != "":
		return nil, errors.New("a VIP is a single address: /32, or /128 for IPv6")
	case lease < 0 || lease%time.Second != 0 || seconds >= forever:
		return nil, fmt.Errorf("lease %s: must be whole seconds, or 0 for a permanent address", lease)
	}
	a := &netlink.Addr{IPNet: ipNet(p), Scope: unix.RT_SCOPE_UNIVERSE}
	if lease > 0 {
		a.ValidLft, a.PreferedLft = int(seconds), int(seconds)
	}
	if p.Addr().Is6() {
		// Duplicate address detection would delay the VIP by a second, and fail while the old MASTER still has it. A
		// preferred lifetime of 0 keeps an IPv6 address from being chosen as a source; for IPv4 the kernel ignores it.
		a.Flags = unix.IFA_F_NODAD
		a.PreferedLft = 0
		if lease == 0 {
			a.ValidLft = forever
		}
	}
	return a, nil
}

// tentative interprets the flags of an address. An optimistic address (RFC 4429) can be used during duplicate address
// detection, and a duplicate one keeps the flag IFA_F_TENTATIVE (addrconf_dad_stop in net/ipv6/addrconf.c).
func tentative(flags int) bool {
	return flags&unix.IFA_F_TENTATIVE != 0 && flags&(unix.IFA_F_OPTIMISTIC|unix.IFA_F_DADFAILED) == 0
}

// remaining converts a valid lifetime as reported by the kernel.
func remaining(seconds uint32) time.Duration {
	if seconds == forever {
		return 0
	}
	// 0 is a lease that is about to expire, which must not be confused with no lease.
	return time.Duration(max(seconds, 1)) * time.Second
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func prefixOf(n *net.IPNet) (netip.Prefix, bool) {
	if n == nil {
		return netip.Prefix{}, false
	}
	ip, ok := netip.AddrFromSlice(n.IP)
	ones, _ := n.Mask.Size()
	return netip.PrefixFrom(ip, ones), ok
}

func on(iface string) string {
	if iface == "" {
		return ""
	}
	return " of " + iface
}
