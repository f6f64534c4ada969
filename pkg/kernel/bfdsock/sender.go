package bfdsock

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/bfd"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/sockets"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

const (
	// firstPort to 65535 are the source ports (RFC 5881 section 4), without 49152, which tcpdump takes for another protocol.
	firstPort = 49153
	// attempts limits the search for a free source port.
	attempts = 32

	tos      = 0xC0
	priority = 7 // network control: ahead of bulk traffic in the device queue
)

// Sender sends the control packets of one session, always from the same source port (RFC 5881 section 4). It may be used
// from any goroutine.
type Sender struct {
	conn *net.UDPConn
	raw  syscall.RawConn
	to   string
}

// Dial returns a Sender from one address of this host to a neighbour on the link. The caller must close it.
//
// Errors: kernel.ErrNoInterface, kernel.ErrNotPermitted, ErrNoSource, ErrInUse if no source port is free.
func Dial(on vrrp.Segment, local, neighbour netip.Addr) (*Sender, error) {
	to := fmt.Sprintf("%s on %s", neighbour, on.Interface)
	var err error
	for range attempts {
		var s *Sender
		if s, err = dial(on, local, neighbour); err == nil {
			s.to = to
			return s, nil
		}
		if !errors.Is(err, unix.EADDRINUSE) {
			break
		}
	}
	return nil, fmt.Errorf("open a BFD socket to %s: %w", to, translate(err))
}

func dial(on vrrp.Segment, local, neighbour netip.Addr) (*Sender, error) {
	port := firstPort + rand.N(65536-firstPort)
	if neighbour.IsLinkLocalUnicast() && on.Family == kernel.IPv6 {
		// The index is the zone, because package net remembers the indexes of names for a minute, and an interface that was
		// deleted and added again has another one.
		ifi, err := net.InterfaceByName(on.Interface)
		if err != nil {
			return nil, err
		}
		zone := strconv.Itoa(ifi.Index)
		local, neighbour = local.WithZone(zone), neighbour.WithZone(zone)
	}
	d := net.Dialer{
		LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(local, uint16(port))),
		Timeout:   time.Second, // connect of a UDP socket does not wait for the neighbour
		Control:   sockets.Control(func(fd int) error { return prepare(fd, on) }),
	}
	conn, err := d.Dial(network(on.Family), netip.AddrPortFrom(neighbour, bfd.Port).String())
	if err != nil {
		return nil, err
	}
	s := &Sender{conn: conn.(*net.UDPConn)}
	if s.raw, err = s.conn.SyscallConn(); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return s, nil
}

// prepare sets the options of a Sender's socket. IP_TOS resets the priority (Linux net/ipv4/ip_sockglue.c,
// __ip_sock_set_tos), so SO_PRIORITY comes after it.
func prepare(fd int, on vrrp.Segment) error {
	if err := sockets.Bind(fd, on.Interface); err != nil {
		return err
	}
	options := []sockets.Option{
		{Name: "IP_TTL", Level: unix.IPPROTO_IP, Opt: unix.IP_TTL, Val: bfd.TTL},
		{Name: "IP_TOS", Level: unix.IPPROTO_IP, Opt: unix.IP_TOS, Val: tos},
	}
	if on.Family == kernel.IPv6 {
		options = []sockets.Option{
			{Name: "IPV6_UNICAST_HOPS", Level: unix.IPPROTO_IPV6, Opt: unix.IPV6_UNICAST_HOPS, Val: bfd.TTL},
			{Name: "IPV6_TCLASS", Level: unix.IPPROTO_IPV6, Opt: unix.IPV6_TCLASS, Val: tos},
		}
	}
	return sockets.Set(fd, append(options, sockets.Option{Name: "SO_PRIORITY", Level: unix.SOL_SOCKET, Opt: unix.SO_PRIORITY, Val: priority})...)
}

// Send sends one packet and does not block. Success means that the kernel accepted it. The kernel reports an ICMP error
// about an earlier packet instead of sending: then it is sent again, and the error is returned.
//
// Errors: ErrRefused, ErrUnreachable, ErrNoSource, ErrFiltered, kernel.ErrNoInterface, net.ErrClosed, and other errors of sendmsg(2)
// (EAGAIN, ENOBUFS).
func (s *Sender) Send(payload []byte) error {
	first := s.send(payload)
	if first == nil {
		return nil
	}
	if errors.Is(first, unix.ECONNREFUSED) || errors.Is(first, unix.EHOSTUNREACH) {
		_ = s.send(payload)
	}
	if errors.Is(first, unix.EPERM) {
		return fmt.Errorf("send BFD to %s: %w", s.to, ErrFiltered)
	}
	return fmt.Errorf("send BFD to %s: %w", s.to, translate(first))
}

func (s *Sender) send(payload []byte) error {
	var failed error
	err := s.raw.Control(func(fd uintptr) {
		for {
			if _, failed = unix.SendmsgN(int(fd), payload, nil, nil, unix.MSG_DONTWAIT); failed != unix.EINTR {
				return
			}
		}
	})
	return errors.Join(err, failed)
}

// Close releases the socket. It may be called more than once.
func (s *Sender) Close() error {
	if err := s.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close the BFD socket to %s: %w", s.to, err)
	}
	return nil
}
