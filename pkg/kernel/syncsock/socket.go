package syncsock

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel/errno"
	"github.com/lvs-director/lvs-director/pkg/kernel/sockets"
)

// Datagram is one received datagram.
type Datagram struct {
	Source  netip.Addr
	Size    int    // in bytes
	Payload []byte // at most the first Kept bytes
}

const (
	// Kept is the number of bytes of a datagram that are passed on.
	Kept = 2048
	// pendingLimit is the maximum number of datagrams that one Receive returns.
	pendingLimit = 256
	// receiveBuffer is asked for: a MASTER that sends all connections again sends some hundred datagrams a second.
	receiveBuffer = 1 << 20
)

var (
	// ErrFiltered means that a packet filter of this host dropped a datagram.
	ErrFiltered = errors.New("a packet filter of this host forbids it (allow UDP from its own address to the port of connection_sync)")
	// ErrNoSource means that the source is no address of this host.
	ErrNoSource = errors.New("the interface has no IPv4 address of its own (see: ip addr)")
	// ErrInUse means that another program has the port for itself.
	ErrInUse = errors.New("another program has the UDP port (see: ss -lunp): stop it, or choose another port")
)

// Address says where a Socket sends and receives.
type Address struct {
	Interface string
	Source    netip.Addr     // IPv4, of this host
	Group     netip.AddrPort // multicast, IPv4
	TTL       uint8
}

// Socket sends to and receives from one group, on one interface: nothing else that is sent to its port. Close may be called
// at any time, the other methods from one goroutine.
type Socket struct {
	in, out *net.UDPConn
	raw     syscall.RawConn
	at      Address
	buffer  [Kept]byte
}

// Open opens a Socket. The caller must close it.
//
// Errors: kernel.ErrNoInterface, kernel.ErrNotPermitted, ErrNoSource, ErrInUse.
func Open(at Address) (*Socket, error) {
	s := &Socket{at: at}
	if err := s.open(); err != nil {
		_ = s.Close()
		return nil, s.failed("open the socket of", err)
	}
	return s, nil
}

func (s *Socket) failed(do string, err error) error {
	return fmt.Errorf("%s the connection synchronization on %s: %w", do, s.at.Interface, translate(err))
}

func translate(err error) error {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return ErrInUse
	case errors.Is(err, unix.EADDRNOTAVAIL), errors.Is(err, unix.ENETUNREACH):
		return ErrNoSource
	}
	return errno.Translate(err, "CAP_NET_RAW")
}

func (s *Socket) open() error {
	if !s.at.Source.Is4() {
		return ErrNoSource
	}
	ifi, err := net.InterfaceByName(s.at.Interface)
	if err != nil {
		return err
	}
	to := net.UDPAddrFromAddrPort(s.at.Group)
	if s.in, err = s.listen(ifi.Index); err != nil {
		return err
	}
	if s.raw, err = s.in.SyscallConn(); err != nil {
		return err
	}
	dialer := net.Dialer{
		LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(s.at.Source, 0)), Timeout: time.Second,
		Control: sockets.Control(func(fd int) error { return s.prepareOut(fd, ifi.Index) }),
	}
	out, err := dialer.Dial("udp4", to.String())
	if err != nil {
		return err
	}
	s.out = out.(*net.UDPConn)
	return nil
}

// listen opens the socket that receives. It is bound to the group, as that of the kernel's daemon is: package net would bind it
// to the wildcard address, with which it would receive what any host sends to an address of this one.
func (s *Socket) listen(index int) (*net.UDPConn, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_UDP)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	file := os.NewFile(uintptr(fd), "connection synchronization")
	defer file.Close() // FilePacketConn has its own descriptor
	if err := s.prepareIn(fd, index); err != nil {
		return nil, err
	}
	to := &unix.SockaddrInet4{Port: int(s.at.Group.Port()), Addr: s.at.Group.Addr().As4()}
	if err := unix.Bind(fd, to); err != nil {
		return nil, os.NewSyscallError("bind", err)
	}
	in, err := net.FilePacketConn(file)
	if err != nil {
		return nil, err
	}
	return in.(*net.UDPConn), nil
}

// prepareIn shares the port with the daemon of the kernel, which has SO_REUSEADDR too (make_receive_sock). Only what comes in
// on the interface is received: without IP_MULTICAST_ALL a membership of another socket does not count for this one.
func (s *Socket) prepareIn(fd, index int) error {
	if err := sockets.Set(fd, sockets.Option{Name: "SO_REUSEADDR", Level: unix.SOL_SOCKET, Opt: unix.SO_REUSEADDR, Val: 1}); err != nil {
		return err
	}
	if err := sockets.Bind(fd, s.at.Interface); err != nil {
		return err
	}
	if err := sockets.Set(fd, sockets.Option{Name: "IP_MULTICAST_ALL", Level: unix.IPPROTO_IP, Opt: unix.IP_MULTICAST_ALL, Val: 0}); err != nil {
		return err
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer) // the kernel limits it: no error
	join := &unix.IPMreqn{Multiaddr: s.at.Group.Addr().As4(), Ifindex: int32(index)}
	return os.NewSyscallError("setsockopt IP_ADD_MEMBERSHIP", unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, join))
}

func (s *Socket) prepareOut(fd, index int) error {
	if err := sockets.Bind(fd, s.at.Interface); err != nil {
		return err
	}
	if err := sockets.Set(fd,
		sockets.Option{Name: "IP_MULTICAST_TTL", Level: unix.IPPROTO_IP, Opt: unix.IP_MULTICAST_TTL, Val: int(s.at.TTL)},
		sockets.Option{Name: "IP_MULTICAST_LOOP", Level: unix.IPPROTO_IP, Opt: unix.IP_MULTICAST_LOOP, Val: 0},
	); err != nil {
		return err
	}
	on := &unix.IPMreqn{Ifindex: int32(index)}
	return os.NewSyscallError("setsockopt IP_MULTICAST_IF", unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, on))
}

// Receive waits until a datagram is queued, or until a time, and returns those that are queued then: none if the time has
// come. The caller owns the payloads.
//
// Errors: net.ErrClosed, and other errors of recvmsg(2).
func (s *Socket) Receive(until time.Time) ([]Datagram, error) {
	if err := s.in.SetReadDeadline(until); err != nil {
		return nil, s.failed("receive", err)
	}
	var all []Datagram
	var failed error
	err := s.raw.Read(func(fd uintptr) bool {
		for len(all) < pendingLimit {
			// MSG_TRUNC: the length of the datagram is returned, not that of what fits.
			n, from, err := unix.Recvfrom(int(fd), s.buffer[:], unix.MSG_DONTWAIT|unix.MSG_TRUNC)
			switch err {
			case nil:
				all = append(all, Datagram{Source: source(from), Size: n, Payload: append([]byte(nil), s.buffer[:min(n, Kept)]...)})
				continue
			case unix.EINTR:
				continue
			case unix.EAGAIN:
				return len(all) > 0
			}
			failed = err
			return true
		}
		return true
	})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	if err = errors.Join(err, failed); err != nil {
		return all, s.failed("receive", err)
	}
	return all, nil
}

func source(from unix.Sockaddr) netip.Addr {
	if from, four := from.(*unix.SockaddrInet4); four {
		return netip.AddrFrom4(from.Addr)
	}
	return netip.Addr{}
}

// Send sends one datagram to the group; it blocks for 50 ms at most. Success means that the kernel accepted it.
//
// Errors: ErrFiltered, ErrNoSource, kernel.ErrNoInterface, net.ErrClosed, and other errors of sendmsg(2) (ENOBUFS).
func (s *Socket) Send(payload []byte) error {
	if err := s.out.SetWriteDeadline(time.Now().Add(sendWithin)); err != nil {
		return s.failed("send", err)
	}
	_, err := s.out.Write(payload)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EPERM):
		err = ErrFiltered
	}
	return s.failed("send", err)
}

// sendWithin limits how long Send waits for room in the socket's buffer.
const sendWithin = 50 * time.Millisecond

// Close releases the socket. A Receive in progress returns net.ErrClosed. Close may be called more than once.
func (s *Socket) Close() error {
	var all []error
	for _, c := range []*net.UDPConn{s.in, s.out} {
		if c == nil {
			continue
		}
		if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			all = append(all, err)
		}
	}
	if err := errors.Join(all...); err != nil {
		return s.failed("close the socket of", err)
	}
	return nil
}
