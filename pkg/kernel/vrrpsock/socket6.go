package vrrpsock

import (
	"encoding/binary"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/sockets"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// ipv6 leaves the checksum to the sender: the kernel would compute it only with IPV6_CHECKSUM, which would also make it
// drop packets with a wrong one uncounted.
func ipv6() wire {
	return wire{
		family: kernel.IPv6, network: "ip6:112", any: "::", domain: unix.AF_INET6,
		options: []sockets.Option{
			{Name: "IPV6_MULTICAST_ALL", Level: unix.IPPROTO_IPV6, Opt: unix.IPV6_MULTICAST_ALL, Val: 0},
			{Name: "IPV6_MULTICAST_LOOP", Level: unix.IPPROTO_IPV6, Opt: unix.IPV6_MULTICAST_LOOP, Val: 0},
			{Name: "IPV6_MULTICAST_HOPS", Level: unix.IPPROTO_IPV6, Opt: unix.IPV6_MULTICAST_HOPS, Val: ttl},
			{Name: "IPV6_UNICAST_HOPS", Level: unix.IPPROTO_IPV6, Opt: unix.IPV6_UNICAST_HOPS, Val: ttl},
			{Name: "IPV6_TCLASS", Level: unix.IPPROTO_IPV6, Opt: unix.IPV6_TCLASS, Val: tos},
			{Name: "IPV6_RECVPKTINFO", Level: unix.IPPROTO_IPV6, Opt: unix.IPV6_RECVPKTINFO, Val: 1},
			{Name: "IPV6_RECVHOPLIMIT", Level: unix.IPPROTO_IPV6, Opt: unix.IPV6_RECVHOPLIMIT, Val: 1},
		},
		join: join6, leave: leave6, header: header6, priority: unix.SockFilter{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 2},
		receive: receive6, decode: decode6, address: address6,
	}
}

func join6(fd, index int, group netip.Addr) error {
	membership := &unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(index)}
	err := unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, membership)
	if err == unix.EINVAL { // the interface has no struct inet6_dev (__ipv6_dev_mc_inc in net/ipv6/mcast.c)
		return ErrNoIPv6
	}
	return os.NewSyscallError("setsockopt IPV6_JOIN_GROUP", err)
}

func leave6(fd, index int, group netip.Addr) error {
	membership := &unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(index)}
	return os.NewSyscallError("setsockopt IPV6_LEAVE_GROUP", unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_LEAVE_GROUP, membership))
}

// header6: a raw socket's filter of IPv6 sees the packet from the header that follows the IPv6 header and its
// extensions; the IPv6 header is at SKF_NET_OFF (linux/filter.h).
func header6(leastTTL uint8, others uint32) []unix.SockFilter {
	const (
		networkHeader  = -0x100000 // SKF_NET_OFF
		hopLimitOffset = 7
	)
	at := int32(networkHeader + hopLimitOffset)
	return []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_LEN},
		{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: 2, Jt: 1}, // up to the VRID
		{Code: unix.BPF_RET | unix.BPF_K, K: others},
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: uint32(at)},
		{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: uint32(leastTTL), Jt: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: others},
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 1},
	}
}

// receive6 reads a payload. A raw socket of IPv6 delivers no IP header (RFC 3542, section 3): source, destination and hop
// limit are in the address and the control messages.
func receive6(fd int, b []byte) (vrrp.Datagram, error) {
	var oob [controlSize]byte
	for {
		n, size, _, from, err := unix.Recvmsg(fd, b, oob[:], unix.MSG_DONTWAIT)
		if err == unix.EINTR {
			continue
		}
		d := parseControl(oob[:max(size, 0)])
		d.Payload = b[:max(n, 0)]
		if from, ok := from.(*unix.SockaddrInet6); ok {
			d.Source = netip.AddrFrom16(from.Addr) // without the zone: the socket belongs to one interface
		}
		return d, err
	}
}

// decode6 is receive6 for a packet that has been read together with others.
func decode6(b, oob []byte, from *unix.RawSockaddrInet6) vrrp.Datagram {
	d := parseControl(oob)
	d.Payload, d.Source = b, netip.AddrFrom16(from.Addr)
	return d
}

// parseControl reads destination and hop limit from the control messages of a packet. Without them the destination is
// invalid and the hop limit 0, so that readers drop it.
func parseControl(oob []byte) vrrp.Datagram {
	var d vrrp.Datagram
	for len(oob) > 0 {
		header, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			return d
		}
		switch {
		case header.Level != unix.IPPROTO_IPV6:
		case header.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			d.Destination, _ = netip.AddrFromSlice(data[:16])
		case header.Type == unix.IPV6_HOPLIMIT && len(data) >= 4:
			d.TTL = int(int32(binary.NativeEndian.Uint32(data)))
		}
		oob = rest
	}
	return d
}

func address6(index int, source, destination netip.Addr) ([]byte, unix.Sockaddr) {
	oob := unix.PktInfo6(&unix.Inet6Pktinfo{Ifindex: uint32(index), Addr: source.As16()})
	return oob, &unix.SockaddrInet6{Addr: destination.As16(), ZoneId: uint32(index)}
}
