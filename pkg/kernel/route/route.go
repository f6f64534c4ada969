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
)

// ErrNoRoute says that the kernel has no route there, or not from this source.
var ErrNoRoute = errors.New("no route")

// anywhere stands for a client in a far network: TEST-NET-1 (RFC 5737), which nobody routes specially.
var anywhere = netip.AddrFrom4([4]byte{192, 0, 2, 1})

// requestTimeout bounds the exchange with the kernel.
const requestTimeout = 2 * time.Second

// Gateway returns the next hop of packets from one of this machine's IPv4 addresses to clients in far networks; policy
// rules for that source are obeyed. It is invalid, without an error, where they go out directly.
//
// Errors: ErrNoRoute, also when the source is not an address of this machine.
func Gateway(source netip.Addr) (netip.Addr, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("open route netlink: %w", err)
	}
	defer h.Close()
	if err := h.SetSocketTimeout(requestTimeout); err != nil {
		return netip.Addr{}, fmt.Errorf("open route netlink: %w", err)
	}
	found, err := h.RouteGetWithOptions(net.IP(anywhere.AsSlice()), &netlink.RouteGetOptions{SrcAddr: net.IP(source.AsSlice())})
	if errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EHOSTUNREACH) || errors.Is(err, unix.EINVAL) || (err == nil && len(found) == 0) {
		err = ErrNoRoute
	}
	if err != nil {
		return netip.Addr{}, fmt.Errorf("route from %s to clients: %w", source, err)
	}
	gateway, _ := netip.AddrFromSlice(found[0].Gw)
	return gateway.Unmap(), nil
}
