package lab

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// Sockaddr returns the address family and the socket address of an address and port.
func Sockaddr(a netip.AddrPort) (family int, at unix.Sockaddr) {
	if ip := a.Addr(); ip.Is6() {
		return unix.AF_INET6, &unix.SockaddrInet6{Addr: ip.As16(), Port: int(a.Port())}
	}
	return unix.AF_INET, &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
}
