package vrrpsock

import (
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/sockets"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

func ipv4() wire {
	return wire{
		family: kernel.IPv4, network: "ip4:112", any: "0.0.0.0", domain: unix.AF_INET,
		options: []sockets.Option{
			{Name: "IP_MULTICAST_ALL", Level: unix.IPPROTO_IP, Opt: unix.IP_MULTICAST_ALL, Val: 0},
			{Name: "IP_MULTICAST_LOOP", Level: unix.IPPROTO_IP, Opt: unix.IP_MULTICAST_LOOP, Val: 0},
			{Name: "IP_MULTICAST_TTL", Level: unix.IPPROTO_IP, Opt: unix.IP_MULTICAST_TTL, Val: ttl},
			{Name: "IP_TTL", Level: unix.IPPROTO_IP, Opt: unix.IP_TTL, Val: ttl},
			{Name: "IP_TOS", Level: unix.IPPROTO_IP, Opt: unix.IP_TOS, Val: tos},
		},
		join: join4, leave: leave4, header: header4, priority: unix.SockFilter{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_IND, K: 2},
		receive: receive4, decode: func(b, _ []byte, _ *unix.RawSockaddrInet6) vrrp.Datagram { return parse(b) }, address: address4,
	}
}

func join4(fd, index int, group netip.Addr) error {
	membership := &unix.IPMreqn{Multiaddr: group.As4(), Ifindex: int32(index)}
	return os.NewSyscallError("setsockopt IP_ADD_MEMBERSHIP",
		unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, membership))
}

func leave4(fd, index int, group netip.Addr) error {
	membership := &unix.IPMreqn{Multiaddr: group.As4(), Ifindex: int32(index)}
	return os.NewSyscallError("setsockopt IP_DROP_MEMBERSHIP",
		unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_DROP_MEMBERSHIP, membership))
}

// receive4 reads a packet as raw sockets of IPv4 deliver it, with its header (raw(7)). Unlike package unix, package syscall
// does not ask the kernel for the protocol of the socket each time.
func receive4(fd int, b []byte) (vrrp.Datagram, error) {
	for {
		n, _, err := syscall.Recvfrom(fd, b, unix.MSG_DONTWAIT)
		if err != unix.EINTR {
			return parse(b[:max(n, 0)]), err
		}
	}
}

func address4(index int, source, destination netip.Addr) ([]byte, unix.Sockaddr) {
	oob := unix.PktInfo4(&unix.Inet4Pktinfo{Ifindex: int32(index), Spec_dst: source.As4()})
	return oob, &unix.SockaddrInet4{Addr: destination.As4()}
}
