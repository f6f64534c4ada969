package route

import (
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// Source returns the address from which the kernel would send to a target, by its routes and policy rules: connect(2) of
// a UDP socket chooses it, and sends nothing. It may be a VIP.
//
// Errors are those of the system calls, such as ENETUNREACH without a route, as *os.SyscallError.
func Source(target netip.AddrPort) (netip.Addr, error) {
	domain, to := unix.AF_INET, unix.Sockaddr(nil)
	if ip := target.Addr(); ip.Is4() {
		to = &unix.SockaddrInet4{Addr: ip.As4(), Port: int(target.Port())}
	} else {
		domain, to = unix.AF_INET6, &unix.SockaddrInet6{Addr: ip.As16(), Port: int(target.Port())}
	}
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return netip.Addr{}, os.NewSyscallError("socket", err)
	}
	defer func() { _ = unix.Close(fd) }() // nothing was sent
	if err := unix.Connect(fd, to); err != nil {
		return netip.Addr{}, os.NewSyscallError("connect", err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return netip.Addr{}, os.NewSyscallError("getsockname", err)
	}
	switch name := name.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrFrom4(name.Addr), nil
	case *unix.SockaddrInet6:
		return netip.AddrFrom16(name.Addr), nil
	default:
		return netip.Addr{}, os.NewSyscallError("getsockname", unix.EAFNOSUPPORT)
	}
}
