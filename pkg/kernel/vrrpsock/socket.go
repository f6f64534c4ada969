package vrrpsock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/sockets"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

const (
	protocol = 112 // RFC 9568 section 5.1.1.4
	ttl      = 255 // RFC 9568 section 5.1.1.3: shows that the sender is on the link
	tos      = 0xC0
	priority = 7 // network control: ahead of bulk traffic in the device queue

	// bufferSize, in bytes, is enough for any advert of either family: at most 15 words of IPv4 header, then 8 bytes
	// and 255 addresses. A packet that is longer than any advert is still too long after truncation to this size.
	bufferSize = 15*4 + 8 + 255*16

	// writeTimeout limits Send. An advert that cannot be sent by then is late anyway.
	writeTimeout = 100 * time.Millisecond

	// checkInterval is the pause after which Wait checks again whether the interface still exists under its name: the kernel does
	// not notify a raw socket.
	checkInterval = 500 * time.Millisecond

	// waitAtMost is the longest Wait.
	waitAtMost = time.Second

	// pendingLimit is the maximum number of datagrams that Pending returns.
	pendingLimit = 1024

	// receiveBuffer is the receive buffer for about pendingLimit packets, in bytes. The kernel doubles it; a small
	// packet takes 832 bytes.
	receiveBuffer = pendingLimit * 832 / 2

	// sendBuffer is the send buffer, in bytes. The kernel doubles it. Adverts to a unicast peer that does not answer ARP wait
	// in its neighbour entry, up to 208 KB of them (unres_qlen_bytes in arp(7)), and count: two such peers would fill the
	// system's default, and delay the adverts to all others.
	sendBuffer = 4 << 20
)

// Socket sends and receives adverts on one segment. One goroutine may call Wait and Rest while others send; Pending and Close
// may be called at any time.
type Socket struct {
	wire
	conn   *net.IPConn
	raw    syscall.RawConn
	iface  string
	index  int
	batch  batch     // of Pending
	until  time.Time // the read deadline; used by Wait only
	frames frames    // for SendFrom

	mu       sync.Mutex // guards the fields below
	checked  time.Time  // when Wait last checked the interface
	others   others
	groups   []netip.Addr // of which all sockets are members
	filtered wanted       // by Filter
	resting  rest
}

// Open opens a socket on the segment's interface. It is a member of no multicast group: see Join. The interface may be
// down or have no address. The caller must close the socket.
//
// Errors: ErrNoFamily, kernel.ErrNoInterface, ErrNoIPv6, kernel.ErrNotPermitted.
func Open(on vrrp.Segment) (*Socket, error) {
	s, err := open(on)
	if err != nil {
		return nil, fmt.Errorf("open VRRP socket on %s: %w", on, translate(err))
	}
	return s, nil
}

func open(on vrrp.Segment) (*Socket, error) {
	w, known := wireOf(on.Family)
	if !known {
		return nil, ErrNoFamily
	}
	ifi, err := net.InterfaceByName(on.Interface)
	if err != nil {
		return nil, err
	}
	s := &Socket{wire: w, iface: on.Interface, index: ifi.Index}
	config := net.ListenConfig{Control: sockets.Control(func(fd int) error { return w.configure(fd, ifi) })}
	// This neither resolves names nor blocks, so there is nothing to cancel.
	conn, err := config.ListenPacket(context.Background(), w.network, w.any)
	if err != nil {
		return nil, err
	}
	s.conn = conn.(*net.IPConn)
	if s.raw, err = s.conn.SyscallConn(); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return s, nil
}

// configure prepares the socket before it receives anything. IP_TOS resets the priority (Linux net/ipv4/ip_sockglue.c,
// __ip_sock_set_tos), so SO_PRIORITY comes after it.
func (w wire) configure(fd int, ifi *net.Interface) error {
	if err := sockets.Bind(fd, ifi.Name); err != nil {
		return err
	}
	last := sockets.Option{Name: "SO_PRIORITY", Level: unix.SOL_SOCKET, Opt: unix.SO_PRIORITY, Val: priority}
	if err := sockets.Set(fd, append(w.options, last)...); err != nil {
		return err
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, sendBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer)
	}
	// Exceed the system's limit, which is enough for about 250 adverts, if permitted.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	}
	return nil
}

// Close releases the socket and leaves the group. A Wait in progress returns net.ErrClosed. Close may be called more
// than once.
func (s *Socket) Close() error {
	s.mu.Lock() // until the socket is closed, or a Filter at the same time would open the second one again
	defer s.mu.Unlock()
	s.others.close()
	s.resting.close()
	s.frames.close()
	if err := s.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close VRRP socket on %s: %w", s.iface, err)
	}
	return nil
}

// Send sends one advert with a TTL of 255. source must be an address of this host of the socket's family and must not be a
// VIP; destination is a multicast group or another router. The packet leaves by the socket's interface, whatever the routes
// are; if none of them leads by that interface, destination is taken for a neighbour. Send waits at most 100 ms for room in
// the socket's buffer. Success means that the kernel accepted the advert: one that the device queue drops (no carrier) is
// lost without an error.
//
// Errors: ErrNoSource, ErrNoDestination, kernel.ErrNoInterface, ErrFiltered, net.ErrClosed, os.ErrDeadlineExceeded, and other
// errors of sendmsg(2) (ENOBUFS).
func (s *Socket) Send(payload []byte, source, destination netip.Addr) error {
	if err := s.send(payload, source.Unmap(), destination.Unmap()); err != nil {
		to := ""
		if !destination.IsMulticast() {
			to = " to " + destination.String()
		}
		return fmt.Errorf("send advert from %s%s on %s: %w", source, to, s.iface, err)
	}
	return nil
}

func (s *Socket) send(payload []byte, source, destination netip.Addr) error {
	// With an unspecified source the kernel would choose one.
	if kernel.FamilyOf(source) != s.family || source.IsUnspecified() || source.IsMulticast() {
		return ErrNoSource
	}
	if kernel.FamilyOf(destination) != s.family || destination.IsUnspecified() {
		return ErrNoDestination
	}
	oob, to := s.address(s.index, source, destination)
	err := sockets.Write(s.conn, s.raw, writeTimeout, func(fd int) error {
		_, err := unix.SendmsgN(fd, payload, oob, to, unix.MSG_DONTWAIT)
		return err
	})
	switch failed, ofKernel := err.(unix.Errno); {
	case failed == unix.EPERM:
		return ErrFiltered
	case failed == unix.EINVAL && s.family == kernel.IPv6:
		return ErrNoSource // not a usable address of the interface (ip6_datagram_send_ctl in net/ipv6/datagram.c)
	case ofKernel:
		err = os.NewSyscallError("sendmsg", failed)
	}
	return translate(err)
}
