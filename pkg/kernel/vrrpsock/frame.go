package vrrpsock

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

const (
	ethernetSize = 14
	ipv4Size     = 20
	ipv6Size     = 40
	dontFragment = 0x4000
)

// frames sends Ethernet frames on an interface. The zero value has no socket.
type frames struct {
	mu     sync.Mutex // guards the fields below; never held while the kernel blocks
	fd     int        // 0: not open yet
	closed bool
}

// SendFrom sends one advert to a multicast group, as Send does, with another source MAC address than that of the interface.
// The frame is written to the interface itself (packet(7)): the kernel neither checks the source address nor applies the
// rules of its packet filter.
//
// Errors: ErrNoSource, ErrNoDestination, kernel.ErrNoInterface, kernel.ErrNotPermitted, net.ErrClosed, and other errors of
// send(2) (ENETDOWN, ENOBUFS).
func (s *Socket) SendFrom(from kernel.MAC, payload []byte, source, destination netip.Addr) error {
	source, destination = source.Unmap(), destination.Unmap()
	err := s.checkFrame(source, destination)
	if err == nil {
		err = s.frames.send(s.index, frame(from, payload, source, destination))
	}
	if err != nil {
		return fmt.Errorf("send advert from %s (%s) on %s: %w", source, from, s.iface, translate(err))
	}
	return nil
}

func (s *Socket) checkFrame(source, destination netip.Addr) error {
	if kernel.FamilyOf(source) != s.family || source.IsUnspecified() || source.IsMulticast() {
		return ErrNoSource
	}
	if kernel.FamilyOf(destination) != s.family || !destination.IsMulticast() {
		return ErrNoDestination
	}
	return nil
}

func (f *frames) send(index int, frame []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return net.ErrClosed
	}
	if f.fd == 0 {
		// Without a protocol the socket receives nothing.
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return os.NewSyscallError("socket", err)
		}
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PRIORITY, priority)
		f.fd = fd
	}
	to := &unix.SockaddrLinklayer{Ifindex: index, Halen: 6}
	copy(to.Addr[:], frame[:6])
	for {
		if err := unix.Sendto(f.fd, frame, unix.MSG_DONTWAIT, to); err != unix.EINTR {
			return os.NewSyscallError("sendto", err)
		}
	}
}

func (f *frames) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	if f.fd != 0 {
		_ = unix.Close(f.fd) // nothing is written to it any more
		f.fd = 0
	}
}

// frame returns an Ethernet frame with an advert for a multicast group (RFC 1112, section 6.4; RFC 2464, section 7).
func frame(from kernel.MAC, payload []byte, source, destination netip.Addr) []byte {
	if source.Is4() {
		group := destination.As4()
		b := ethernet(kernel.MAC{0x01, 0x00, 0x5e, group[1] & 0x7f, group[2], group[3]}, from, unix.ETH_P_IP, ipv4Size+len(payload))
		return append(append(b, ipv4Header(source, destination, len(payload))...), payload...)
	}
	group := destination.As16()
	b := ethernet(kernel.MAC{0x33, 0x33, group[12], group[13], group[14], group[15]}, from, unix.ETH_P_IPV6, ipv6Size+len(payload))
	b = binary.BigEndian.AppendUint32(b, 6<<28|tos<<20) // version and traffic class (RFC 8200, section 3)
	b = binary.BigEndian.AppendUint16(b, uint16(len(payload)))
	b = append(b, protocol, ttl)
	return append(append(append(b, source.AsSlice()...), destination.AsSlice()...), payload...)
}

func ethernet(to, from kernel.MAC, kind uint16, room int) []byte {
	b := make([]byte, 0, ethernetSize+room)
	return binary.BigEndian.AppendUint16(append(append(b, to[:]...), from[:]...), kind)
}

// ipv4Header returns a header without options (RFC 791, section 3.1). A packet that is not fragmented needs no
// identification (RFC 6864, section 4.1).
func ipv4Header(source, destination netip.Addr, payload int) []byte {
	h := make([]byte, ipv4Size)
	h[0], h[1] = 4<<4|ipv4Size/4, tos
	binary.BigEndian.PutUint16(h[2:], uint16(ipv4Size+payload))
	binary.BigEndian.PutUint16(h[6:], dontFragment)
	h[8], h[9] = ttl, protocol
	copy(h[12:], source.AsSlice())
	copy(h[16:], destination.AsSlice())
	sum := uint32(0)
	for n := 0; n < ipv4Size; n += 2 {
		sum += uint32(binary.BigEndian.Uint16(h[n:]))
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	binary.BigEndian.PutUint16(h[10:], ^uint16(sum))
	return h
}
