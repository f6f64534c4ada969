package sockdiag

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

const (
	// listening is the bit of TCP_LISTEN, unconnected that of TCP_CLOSE, in which UDP sockets without a peer are
	// (include/net/tcp_states.h).
	listening   = 1 << 10
	unconnected = 1 << 7
	// onlyIPv6 is the attribute INET_DIAG_SKV6ONLY, one byte.
	onlyIPv6 = 11
)

// Listening returns the addresses and ports on which this network namespace accepts TCP connections ("tcp"), SCTP
// associations ("sctp"; of a socket with several addresses, the first one) or UDP packets of any peer ("udp"), of both
// families. A socket for all addresses has the unspecified address; one that accepts both families is listed for each. The
// kernel needs the module tcp_diag, sctp_diag or udp_diag, which it loads itself.
func Listening(protocol string) ([]netip.AddrPort, error) {
	number, states := uint8(unix.IPPROTO_TCP), uint32(listening)
	switch protocol {
	case "tcp":
	case "udp":
		number, states = unix.IPPROTO_UDP, unconnected
	case "sctp":
		number = unix.IPPROTO_SCTP
	default:
		return nil, fmt.Errorf("listening sockets of %s cannot be listed", protocol)
	}
	s, err := open()
	if err != nil {
		return nil, fmt.Errorf("listening sockets: %w", err)
	}
	defer s.close()
	var all []netip.AddrPort
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		if err := s.dump(family, number, states, nil, func(body []byte) { all = append(all, accepting(body)...) }); err != nil {
			return nil, fmt.Errorf("listening sockets: %w", err)
		}
	}
	return all, nil
}

// accepting returns the addresses of a listening socket from its struct inet_diag_msg with its attributes.
func accepting(body []byte) []netip.AddrPort {
	local, _ := ends(body)
	all := []netip.AddrPort{local}
	if local.Addr() == netip.IPv6Unspecified() && !only6(body[messageSize:]) {
		all = append(all, netip.AddrPortFrom(netip.IPv4Unspecified(), local.Port()))
	}
	return all
}

// ends returns the addresses and ports of a socket from its struct inet_diag_msg. Those of IPv4 in a socket of IPv6 are of IPv4.
func ends(body []byte) (local, remote netip.AddrPort) {
	address := func(at int) netip.Addr {
		if body[0] == unix.AF_INET {
			return netip.AddrFrom4([4]byte(body[at : at+4]))
		}
		return netip.AddrFrom16([16]byte(body[at : at+16])).Unmap()
	}
	return netip.AddrPortFrom(address(8), binary.BigEndian.Uint16(body[4:])), netip.AddrPortFrom(address(24), binary.BigEndian.Uint16(body[6:]))
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
