package probe

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel/rtnl"
)

// errRejectedHere and errRejectedThere: an ICMP error of a rule of this machine itself ended the dial, or one of another
// host. If that is not the target, the error is a rejectedBetween, too.
var (
	errRejectedHere  = errors.New("rejected by this machine")
	errRejectedThere = errors.New("rejected by another host")
)

// rejectedBetween is a dial that a host other than the target ended by an ICMP error: a router or firewall.
type rejectedBetween struct{ by netip.Addr }

func (r rejectedBetween) Error() string { return "by " + r.by.String() }

// enableErrorQueue switches the error queue of a socket on or off (IP_RECVERR in ip(7)). It keeps the ICMP errors with
// their senders. Linux before 5.8 queues no ICMP errors for TCP: then the queue is empty.
func enableErrorQueue(fd int, ipv6 bool, value int) error {
	if ipv6 {
		return unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_RECVERR, value)
	}
	return unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_RECVERR, value)
}

// ignoreICMP switches the error queue off, because with it any ICMP error would end the connection.
func (c *conn) ignoreICMP() error {
	var err error
	if cerr := c.raw.Control(func(fd uintptr) {
		err = enableErrorQueue(int(fd), domain(c.remote.AddrPort().Addr()) == unix.AF_INET6, 0)
	}); cerr != nil {
		return cerr
	}
	return os.NewSyscallError("setsockopt IP_RECVERR", err)
}

// explain adds to the error of a dial who sent the ICMP errors of the queue. If several hosts did, this machine counts,
// because then nothing shows that the server is at fault.
func (c *conn) explain(failure error) error {
	explained := failure
	_ = c.raw.Control(func(fd uintptr) { explained = explain(int(fd), c.remote.AddrPort().Addr().Unmap(), failure) })
	return explained
}

func explain(fd int, target netip.Addr, failure error) error {
	explained := failure
	ownRule := false
	eachQueued(fd, func(m unix.SocketControlMessage) {
		switch offender, rule := offender(m); {
		case !rule || ownRule:
		case isOwn(offender):
			explained, ownRule = fmt.Errorf("%w: %w", errRejectedHere, failure), true
		case offender == target.WithZone(""):
			explained = fmt.Errorf("%w: %w", errRejectedThere, failure)
		default:
			explained = fmt.Errorf("%w %w: %w", errRejectedThere, rejectedBetween{offender}, failure)
		}
	})
	return explained
}

// eachQueued takes the messages from the error queue of a socket.
func eachQueued(fd int, use func(unix.SocketControlMessage)) {
	var packet [1]byte
	var oob [256]byte
	for range 64 { // there is one for each SYN
		_, n, _, _, err := unix.Recvmsg(fd, packet[:], oob[:], unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
		if err != nil {
			return
		}
		messages, err := unix.ParseSocketControlMessage(oob[:n])
		if err != nil {
			return
		}
		for _, m := range messages {
			use(m)
		}
	}
}

// lookupTimeout bounds the look-up of a route, which the kernel answers in 20 µs.
const lookupTimeout = 100 * time.Millisecond

// isOwn reports whether this machine has an address: whether the kernel would deliver a packet for it here. It is false
// if the kernel does not answer, because then nothing shows that the error is not the server's.
func isOwn(a netip.Addr) bool {
	h, err := rtnl.OpenWithin(lookupTimeout)
	if err != nil {
		return false
	}
	defer h.Close()
	found, err := h.RouteGet(net.IP(a.AsSlice()))
	return err == nil && len(found) > 0 && found[0].Type == unix.RTN_LOCAL
}

// ICMP types and codes (RFC 792, RFC 4443).
const (
	icmpUnreachable     = 3
	icmpHostUnreachable = 1
	icmp6Unreachable    = 1
	icmp6AddressUnreach = 3
	extendedErrorLength = 16 // of struct sock_extended_err in linux/errqueue.h; the sender's sockaddr follows
	sockaddr4Length     = 16
	sockaddr6Length     = 28
)

// extendedError is an ICMP error in the error queue of a socket.
type extendedError struct {
	ipv6       bool
	kind, code uint8 // of ICMP
	from       netip.Addr
}

// extendedErrorOf returns false for messages that are none, or whose sender the kernel does not know.
func extendedErrorOf(m unix.SocketControlMessage) (e extendedError, is bool) {
	if len(m.Data) < extendedErrorLength {
		return e, false
	}
	origin, from := m.Data[4], m.Data[extendedErrorLength:]
	e.kind, e.code = m.Data[5], m.Data[6]
	switch {
	case m.Header.Level == unix.SOL_IP && m.Header.Type == unix.IP_RECVERR && origin == unix.SO_EE_ORIGIN_ICMP && len(from) >= sockaddr4Length:
		e.from, _ = netip.AddrFromSlice(from[4:8])
	case m.Header.Level == unix.SOL_IPV6 && m.Header.Type == unix.IPV6_RECVERR && origin == unix.SO_EE_ORIGIN_ICMP6 && len(from) >= sockaddr6Length:
		e.ipv6 = true
		e.from, _ = netip.AddrFromSlice(from[8:24])
	default:
		return e, false
	}
	return e, !e.from.IsUnspecified()
}

// offender returns the sender of an ICMP error that says that its target is unreachable, and false for other messages.
// Host unreachable (address unreachable with IPv6) is left out: this machine itself sends it if the server does not
// answer ARP (arp_error_report in net/ipv4/arp.c), and a rule that rejects so looks the same.
func offender(m unix.SocketControlMessage) (netip.Addr, bool) {
	e, is := extendedErrorOf(m)
	switch {
	case !is, !e.ipv6 && (e.kind != icmpUnreachable || e.code == icmpHostUnreachable), e.ipv6 && (e.kind != icmp6Unreachable || e.code == icmp6AddressUnreach):
		return netip.Addr{}, false
	}
	return e.from, true
}
