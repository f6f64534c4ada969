package bfdsock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/bfd"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/sockets"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

const (
	// bufferSize, in bytes, holds the longest control packet with authentication.
	bufferSize = 256

	// checkInterval is how often Wait checks whether the interface still exists under its name: the kernel does not
	// notify the socket. It also limits a Wait.
	checkInterval = 500 * time.Millisecond

	// pendingLimit is the maximum number of datagrams that Pending returns.
	pendingLimit = 256
)

// Datagram is one received UDP datagram.
type Datagram struct {
	Source  netip.Addr // without a zone
	TTL     uint8      // or hop limit; 0 if the kernel did not tell it
	Payload []byte
}

// Listener receives the control packets that arrive on one interface in one address family. One goroutine may call Wait;
// Pending and Close may be called at any time.
type Listener struct {
	conn    *net.UDPConn
	raw     syscall.RawConn
	on      vrrp.Segment
	index   int
	checked time.Time // when Wait last checked the interface
}

// Listen opens port 3784 on the interface. The interface may be down or have no address. The caller must close the
// Listener.
//
// Errors: kernel.ErrNoInterface, kernel.ErrNotPermitted, ErrInUse.
func Listen(on vrrp.Segment) (*Listener, error) {
	l, err := listen(on)
	if err != nil {
		return nil, fmt.Errorf("listen for BFD on %s: %w", on, translate(err))
	}
	return l, nil
}

func listen(on vrrp.Segment) (*Listener, error) {
	ifi, err := net.InterfaceByName(on.Interface)
	if err != nil {
		return nil, err
	}
	config := net.ListenConfig{Control: sockets.Control(func(fd int) error {
		if err := sockets.Bind(fd, on.Interface); err != nil {
			return err
		}
		if on.Family == kernel.IPv6 {
			return sockets.Set(fd, sockets.Option{Name: "IPV6_RECVHOPLIMIT", Level: unix.IPPROTO_IPV6, Opt: unix.IPV6_RECVHOPLIMIT, Val: 1})
		}
		return sockets.Set(fd, sockets.Option{Name: "IP_RECVTTL", Level: unix.IPPROTO_IP, Opt: unix.IP_RECVTTL, Val: 1})
	})}
	// This neither resolves names nor blocks, so there is nothing to cancel.
	conn, err := config.ListenPacket(context.Background(), network(on.Family), fmt.Sprintf(":%d", bfd.Port))
	if err != nil {
		return nil, err
	}
	l := &Listener{conn: conn.(*net.UDPConn), on: on, index: ifi.Index}
	if l.raw, err = l.conn.SyscallConn(); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return l, nil
}

func network(family kernel.Family) string {
	if family == kernel.IPv6 {
		return "udp6"
	}
	return "udp4"
}

// Close releases the socket. A Wait in progress returns net.ErrClosed. Close may be called more than once.
func (l *Listener) Close() error {
	if err := l.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close the BFD socket on %s: %w", l.on, err)
	}
	return nil
}

// Wait blocks until a datagram is queued and reads nothing. It returns after 500 ms at the latest, so that its caller
// can send a heartbeat; ready says whether a datagram is queued.
//
// Errors: net.ErrClosed, kernel.ErrNoInterface, and other errors of recvfrom(2).
func (l *Listener) Wait() (ready bool, err error) {
	now := time.Now()
	if now.Sub(l.checked) >= checkInterval {
		l.checked = now
		err = sockets.SameInterface(l.raw, l.on.Interface, l.index)
	}
	if err == nil {
		err = l.conn.SetReadDeadline(now.Add(checkInterval))
	}
	if err == nil {
		var failed error
		err = l.raw.Read(func(fd uintptr) bool {
			var b [1]byte
			_, _, failed = unix.Recvfrom(int(fd), b[:], unix.MSG_DONTWAIT|unix.MSG_PEEK)
			return failed != unix.EAGAIN && failed != unix.EINTR
		})
		err = errors.Join(err, failed)
	}
	switch err = translate(err); {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("wait for BFD packets on %s: %w", l.on, err)
	}
	return true, nil
}

// Pending returns the datagrams queued on the socket, oldest first, without blocking; an empty queue is not an error.
// Payloads longer than any control packet are truncated beyond that length. The caller owns the payloads.
//
// Errors: net.ErrClosed, and other errors of recvmsg(2); the datagrams read before the error are returned with it.
func (l *Listener) Pending() ([]Datagram, error) {
	var pending []Datagram
	var b [bufferSize]byte
	var oob [64]byte
	for len(pending) < pendingLimit {
		var n, m int
		var from unix.Sockaddr
		var failed error
		// Control instead of Read: it does not block on a Wait in another goroutine, and the read deadline does not
		// apply.
		err := l.raw.Control(func(fd uintptr) { n, m, _, from, failed = unix.Recvmsg(int(fd), b[:], oob[:], unix.MSG_DONTWAIT) })
		switch {
		case err == nil && failed == unix.EAGAIN:
			return pending, nil
		case err == nil && failed == unix.EINTR:
			continue
		case err != nil || failed != nil:
			return pending, fmt.Errorf("read the BFD socket on %s: %w", l.on, translate(errors.Join(err, failed)))
		}
		pending = append(pending, Datagram{Source: address(from), TTL: ttlOf(oob[:m]), Payload: append([]byte(nil), b[:n]...)})
	}
	return pending, nil
}

func address(from unix.Sockaddr) netip.Addr {
	switch from := from.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrFrom4(from.Addr)
	case *unix.SockaddrInet6:
		return netip.AddrFrom16(from.Addr).Unmap()
	}
	return netip.Addr{}
}

// ttlOf returns the TTL or hop limit in the control messages of a datagram.
func ttlOf(oob []byte) uint8 {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return 0
	}
	for _, m := range messages {
		four := m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_TTL
		six := m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_HOPLIMIT
		if (four || six) && len(m.Data) > 3 {
			return uint8(uint32(m.Data[0]) | uint32(m.Data[3])) // an int of either byte order, from 0 to 255
		}
	}
	return 0
}
