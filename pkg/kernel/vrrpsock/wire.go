package vrrpsock

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/sockets"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// wire is what differs between the sockets of the address families.
type wire struct {
	family       kernel.Family
	network, any string // of net.ListenPacket
	domain       int    // of socket(2)
	options      []sockets.Option
	// join and leave make a socket a member of a multicast group on an interface, or no longer one.
	join, leave func(fd, index int, group netip.Addr) error
	// header is the beginning of a BPF program, which returns others for packets with a lower TTL and those that are too short,
	// and otherwise loads the VRID. priority then loads the priority.
	header   func(leastTTL uint8, others uint32) []unix.SockFilter
	priority unix.SockFilter
	// receive reads one datagram without blocking; its payload is a part of b.
	receive func(fd int, b []byte) (vrrp.Datagram, error)
	// decode returns a datagram that has been read already, with its control messages and, for IPv6, its sender.
	decode func(b, oob []byte, from *unix.RawSockaddrInet6) vrrp.Datagram
	// address returns the control message of sendmsg(2), which chooses source and interface, and its destination.
	address func(index int, source, destination netip.Addr) (oob []byte, to unix.Sockaddr)
}

// wanted are the packets that pass a filter: VRIDs, and the least TTL (IPv6: hop limit).
type wanted struct {
	vrids    []uint8
	leastTTL uint8
}

// wireOf returns the wire of a family; false for none.
func wireOf(family kernel.Family) (wire, bool) {
	switch family {
	case kernel.IPv4:
		return ipv4(), true
	case kernel.IPv6:
		return ipv6(), true
	default:
		return wire{}, false
	}
}
