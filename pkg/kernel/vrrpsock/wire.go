package vrrpsock

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// wire is what differs between the sockets of the address families.
type wire struct {
	family       kernel.Family
	network, any string // of net.ListenPacket
	domain       int    // of socket(2)
	options      []option
	// join makes a socket a member of the family's group on an interface.
	join func(fd, index int) error
	// program returns a classic BPF program (Documentation/networking/filter.rst) that distinguishes the adverts of the
	// given virtual routers, by TTL 255 and VRID, from all other packets. It returns ours or others as the accepted
	// length. A packet that is too short counts as other.
	program func(vrids []uint8, ours, others uint32) []unix.SockFilter
	// receive reads one datagram without blocking; its payload is a part of b.
	receive func(fd int, b []byte) (vrrp.Datagram, error)
	// address returns the control message of sendmsg(2), which chooses source and interface, and its destination.
	address func(index int, source, destination netip.Addr) (oob []byte, to unix.Sockaddr)
}

// option is an option of a socket.
type option struct {
	name                string
	level, opt, setting int
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
