// Package route looks up the kernel's route of a packet. It changes nothing and watches nothing.
package route

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/rtnl"
)

// ErrNoRoute: the kernel has no route to the destination, or none from this source.
var ErrNoRoute = errors.New("no route")

// anywhere returns an address that represents a client in a remote network: of TEST-NET-1 (RFC 5737) or the
// documentation prefix (RFC 3849), for which no network has special routes.
func anywhere(family kernel.Family) netip.Addr {
	if family == kernel.IPv6 {
		return netip.MustParseAddr("2001:db8::1")
	}
	return netip.MustParseAddr("192.0.2.1")
}

// Gateway returns the next hop of packets from one of this machine's addresses, of either family, to clients in remote
// networks, according to the policy rules for that source. It is invalid, without an error, if they are sent directly.
// A next hop that is link-local, as is usual with IPv6, has no zone.
//
// Errors: ErrNoRoute, with IPv4 also when the source is not an address of this machine: for IPv6 the kernel does not
// check (inet6_rtm_getroute in net/ipv6/route.c).
func Gateway(source netip.Addr) (netip.Addr, error) {
	h, err := rtnl.Open()
	if err != nil {
		return netip.Addr{}, err
	}
	defer h.Close()
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

// Interface returns the name of the interface by which packets of this machine to an address leave.
//
// Errors: ErrNoRoute.
func Interface(to netip.Addr) (string, error) {
	h, err := rtnl.Open()
	if err != nil {
		return "", err
	}
	defer h.Close()
	found, err := h.RouteGet(net.IP(to.AsSlice()))
	if errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EHOSTUNREACH) || (err == nil && len(found) == 0) {
		err = ErrNoRoute
	}
	if err != nil {
		return "", fmt.Errorf("route to %s: %w", to, err)
	}
	link, err := h.LinkByIndex(found[0].LinkIndex)
	if err != nil {
		return "", fmt.Errorf("the interface of the route to %s: %w", to, err)
	}
	return link.Attrs().Name, nil
}

// NextHop returns the router to which packets of this machine to an address are sent, of either family. It is invalid,
// without an error, if they are sent directly.
//
// Errors: ErrNoRoute.
func NextHop(to netip.Addr) (netip.Addr, error) {
	h, err := rtnl.Open()
	if err != nil {
		return netip.Addr{}, err
	}
	defer h.Close()
	found, err := h.RouteGet(net.IP(to.AsSlice()))
	if errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EHOSTUNREACH) || (err == nil && len(found) == 0) {
		err = ErrNoRoute
	}
	if err != nil {
		return netip.Addr{}, fmt.Errorf("route to %s: %w", to, err)
	}
	router := found[0].Gw
	if via, is := found[0].Via.(*netlink.Via); is { // of the other family
		router = via.Addr
	}
	hop, _ := netip.AddrFromSlice(router)
	return hop.Unmap(), nil
}
