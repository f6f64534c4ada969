// Package route asks the kernel which way a packet would take. It changes nothing and watches nothing.
package route

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// ErrNoRoute says that the kernel has no route there, or not from this source.
var ErrNoRoute = errors.New("no route")

// anywhere stands for a client in a far network, by its family: TEST-NET-1 (RFC 5737) and the documentation prefix (RFC
// 3849), which nobody routes specially.
func anywhere(family kernel.Family) netip.Addr {
	if family == kernel.IPv6 {
		return netip.MustParseAddr("2001:db8::1")
	}
	return netip.MustParseAddr("192.0.2.1")
}

// requestTimeout bounds the exchange with the kernel.
const requestTimeout = 2 * time.Second

// Gateway returns the next hop of packets from one of this machine's addresses, of either family, to clients in far
// networks; policy rules for that source are obeyed. It is invalid, without an error, where they go out directly. A next hop
// that is link-local, as is usual with IPv6, has no zone.
//
// Errors: ErrNoRoute, with IPv4 also when the source is not an address of this machine: with IPv6 the kernel does not ask
// (inet6_rtm_getroute in net/ipv6/route.c).
func Gateway(source netip.Addr) (netip.Addr, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("open route netlink: %w", err)
	}
	defer h.Close()
	if err := h.SetSocketTimeout(requestTimeout); err != nil {
		return netip.Addr{}, fmt.Errorf("open route netlink: %w", err)
	}
	client := anywhere(kernel.FamilyOf(source))
	found, err := h.RouteGetWithOptions(net.IP(client.AsSlice()), &netlink.RouteGetOptions{SrcAddr: net.IP(source.AsSlice())})
	if errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EHOSTUNREACH) || errors.Is(err, unix.EINVAL) || (err == nil && len(found) == 0) {
		err = ErrNoRoute
	}
	if err != nil {
		return netip.Addr{}, fmt.Errorf("route from %s to clients: %w", source, err)
	}
	gateway, _ := netip.AddrFromSlice(found[0].Gw)
	return gateway.Unmap(), nil
}
