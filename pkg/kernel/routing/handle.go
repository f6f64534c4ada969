package routing

import (
	"errors"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/rtnl"
)

// Protocol is the protocol number (rtm_protocol, FRA_PROTOCOL) of the routes and rules, which `ip route` and `ip rule`
// print as "proto 112". Linux assigns it to no other program (include/uapi/linux/rtnetlink.h); it is VRRP's number in IP.
const Protocol = 112

var (
	// ErrExists: another program has added a route with this destination, table and metric, or the same rule.
	ErrExists = errors.New("another program has added it")

	errUnreachable = errors.New("its router is in no network of the interface, or the interface is down (onlink: true, if the router is there nevertheless)")
	errInvalid     = errors.New("the kernel rejects it: is the source an address of this machine, and the router another one?")
)

// Handle is two netlink sockets of its own. It belongs to the network namespace of the thread that opened it, and must not
// be used by several goroutines at once.
type Handle struct {
	rt *netlink.Handle
	// filtered is for lists of routes: the kernel sends only those that are asked for, and not a whole table, since Linux
	// 4.20. Other requests of package netlink are rejected on such a socket.
	filtered *netlink.Handle
}

// Open opens a handle. The caller closes it.
func Open() (*Handle, error) {
	var h Handle
	for _, one := range []**netlink.Handle{&h.rt, &h.filtered} {
		rt, err := rtnl.Open()
		if err != nil {
			h.Close()
			return nil, err
		}
		*one = rt
	}
	_ = h.filtered.SetStrictCheck(true) // an older kernel sends all routes
	return &h, nil
}

// Close releases the sockets.
func (h *Handle) Close() error {
	for _, rt := range []*netlink.Handle{h.rt, h.filtered} {
		if rt != nil {
			rt.Close()
		}
	}
	return nil
}

func translate(err error) error {
	switch {
	case errors.Is(err, unix.EEXIST):
		return ErrExists
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EHOSTUNREACH), errors.Is(err, unix.ENETDOWN):
		return errUnreachable
	case errors.Is(err, unix.EINVAL):
		return errInvalid
	}
	return rtnl.Translate(err)
}

// gone reports whether an error says that what was to be removed is not there.
func gone(err error) bool {
	return errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV)
}

// dump is rtnl.Dump of a table that may not be there.
func dump[T any](read func() ([]T, error)) ([]T, error) {
	all, err := rtnl.Dump(read)
	if errors.Is(err, unix.ENOENT) { // no table of this family yet
		return nil, nil
	}
	return all, err
}

var families = []kernel.Family{kernel.IPv4, kernel.IPv6}

// number returns the kernel's number of a family.
func number(f kernel.Family) int {
	if f == kernel.IPv6 {
		return unix.AF_INET6
	}
	return unix.AF_INET
}

func ipNet(p netip.Prefix) *net.IPNet {
	if !p.IsValid() {
		return nil
	}
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// prefixOf returns the prefix of a network of a family, def without one.
func prefixOf(n *net.IPNet, family kernel.Family, def netip.Prefix) netip.Prefix {
	if n == nil {
		return def
	}
	ones, _ := n.Mask.Size()
	return netip.PrefixFrom(addr(n.IP, family), ones)
}

// addr returns an address of a family; package netlink has 16 bytes for some of IPv4.
func addr(ip net.IP, family kernel.Family) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	if family != kernel.IPv6 {
		a = a.Unmap()
	}
	return a
}
