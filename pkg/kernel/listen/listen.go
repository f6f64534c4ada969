package listen

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// within limits the exchange with the kernel.
	within = 2 * time.Second
	// listening is the bit of TCP_LISTEN, unconnected that of TCP_CLOSE, in which UDP sockets without a peer are
	// (include/net/tcp_states.h).
	listening   = 1 << 10
	unconnected = 1 << 7
	// requestSize is sizeof(struct nlmsghdr) + sizeof(struct inet_diag_req_v2), messageSize sizeof(struct
	// inet_diag_msg) (include/uapi/linux/inet_diag.h).
	requestSize = 16 + 56
	messageSize = 72
	// onlyIPv6 is the attribute INET_DIAG_SKV6ONLY, one byte.
	onlyIPv6 = 11
)

// TCP returns the addresses and ports on which this network namespace accepts TCP connections, of both families. A
// socket for all addresses has the unspecified address; one that accepts both families is listed for each. The kernel
// needs the module tcp_diag, which it loads itself.
func TCP() ([]netip.AddrPort, error) { return sockets(unix.IPPROTO_TCP, listening) }

// UDP returns the addresses and ports on which this network namespace receives UDP packets of any peer, likewise. The kernel
// needs the module udp_diag, which it loads itself.
func UDP() ([]netip.AddrPort, error) { return sockets(unix.IPPROTO_UDP, unconnected) }

// SCTP returns the addresses and ports on which this network namespace accepts SCTP associations, likewise: of a socket with
// several addresses, the first one. The kernel needs the module sctp_diag, which it loads itself.
func SCTP() ([]netip.AddrPort, error) { return sockets(unix.IPPROTO_SCTP, listening) }

// Of returns what TCP, UDP or SCTP return, for "tcp", "udp" or "sctp".
func Of(protocol string) ([]netip.AddrPort, error) {
	switch protocol {
	case "tcp":
		return TCP()
	case "udp":
		return UDP()
	case "sctp":
		return SCTP()
	}
	return nil, fmt.Errorf("listening sockets of %s cannot be listed", protocol)
}

func sockets(protocol uint8, states uint32) ([]netip.AddrPort, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_INET_DIAG)
	if err != nil {
		return nil, fmt.Errorf("listening sockets: %w", os.NewSyscallError("socket", err))
	}
	defer unix.Close(fd)
	limit := unix.NsecToTimeval(within.Nanoseconds())
	if err := errors.Join(unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit), unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit)); err != nil {
		return nil, fmt.Errorf("listening sockets: %w", os.NewSyscallError("setsockopt", err))
	}
	var all []netip.AddrPort
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		found, err := dump(fd, family, protocol, states)
		if err != nil {
			return nil, fmt.Errorf("listening sockets: %w", err)
		}
		all = append(all, found...)
	}
	return all, nil
}

// dump requests the listening sockets of a family. ENOENT means that the kernel has no sock_diag for it.
func dump(fd int, family, protocol uint8, states uint32) ([]netip.AddrPort, error) {
	request := make([]byte, requestSize)
	binary.NativeEndian.PutUint32(request, requestSize)
	binary.NativeEndian.PutUint16(request[4:], unix.SOCK_DIAG_BY_FAMILY)
	binary.NativeEndian.PutUint16(request[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	binary.NativeEndian.PutUint32(request[8:], uint32(family)) // the sequence number
	request[16], request[17] = family, protocol
	binary.NativeEndian.PutUint32(request[20:], states)
	if err := unix.Sendto(fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, os.NewSyscallError("sendto", err)
	}
	var all []netip.AddrPort
	buffer := make([]byte, 64<<10)
	for begun := time.Now(); time.Since(begun) < within; {
		n, err := unix.Read(fd, buffer)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, os.NewSyscallError("read", err)
		}
		found, done, err := parse(buffer[:n], uint32(family))
		if err != nil {
			return nil, err
		}
		if all = append(all, found...); done {
			return all, nil
		}
	}
	return nil, fmt.Errorf("no end of the list within %s", within)
}

var errTruncated = errors.New("truncated netlink message")

// parse reads the netlink messages of a datagram with a sequence number; others are skipped.
func parse(datagram []byte, sequence uint32) (found []netip.AddrPort, done bool, err error) {
	for len(datagram) > 0 {
		if len(datagram) < unix.SizeofNlMsghdr {
			return nil, false, errTruncated
		}
		length := int(binary.NativeEndian.Uint32(datagram))
		if length < unix.SizeofNlMsghdr || length > len(datagram) {
			return nil, false, errTruncated
		}
		kind, number := binary.NativeEndian.Uint16(datagram[4:]), binary.NativeEndian.Uint32(datagram[8:])
		body := datagram[unix.SizeofNlMsghdr:length]
		datagram = datagram[min(align(length), len(datagram)):]
		switch {
		case number != sequence:
		case kind == unix.NLMSG_DONE:
			return found, true, nil
		case kind == unix.NLMSG_ERROR:
			if len(body) < 4 {
				return nil, false, errTruncated
			}
			return nil, false, unix.Errno(-int32(binary.NativeEndian.Uint32(body)))
		case kind == unix.SOCK_DIAG_BY_FAMILY:
			sockets, err := socket(body)
			if err != nil {
				return nil, false, err
			}
			found = append(found, sockets...)
		}
	}
	return found, false, nil
}

// socket parses a struct inet_diag_msg with its attributes.
func socket(message []byte) ([]netip.AddrPort, error) {
	if len(message) < messageSize {
		return nil, errTruncated
	}
	port := binary.BigEndian.Uint16(message[4:])
	if message[0] == unix.AF_INET {
		return []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte(message[8:12])), port)}, nil
	}
	address := netip.AddrFrom16([16]byte(message[8:24]))
	all := []netip.AddrPort{netip.AddrPortFrom(address.Unmap(), port)}
	if address.IsUnspecified() && !only6(message[messageSize:]) {
		all = append(all, netip.AddrPortFrom(netip.IPv4Unspecified(), port))
	}
	return all, nil
}

// only6 reports whether the attributes say that the socket accepts IPv6 only.
func only6(attributes []byte) bool {
	for len(attributes) >= unix.SizeofRtAttr {
		length := int(binary.NativeEndian.Uint16(attributes))
		if length < unix.SizeofRtAttr || length > len(attributes) {
			return false
		}
		if binary.NativeEndian.Uint16(attributes[2:]) == onlyIPv6 && length > unix.SizeofRtAttr {
			return attributes[unix.SizeofRtAttr] != 0
		}
		attributes = attributes[min(align(length), len(attributes)):]
	}
	return false
}

// align rounds up to the 4 bytes of netlink.
func align(length int) int { return (length + 3) &^ 3 }
