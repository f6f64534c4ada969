package route

import (
	"fmt"
	"net"
	"net/netip"
)

// Source returns the address from which the kernel would send to a target of either family, by its routes and policy
// rules: connect(2) of a UDP socket chooses it, and sends nothing. It may be a VIP.
//
// Errors are those of the system calls, such as ENETUNREACH without a route.
func Source(target netip.AddrPort) (netip.Addr, error) {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(target))
	if err != nil {
		return netip.Addr{}, fmt.Errorf("the route to %s: %w", target.Addr(), err)
	}
	source := conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
	return source, conn.Close()
}
