package vrrp

import (
	"encoding/binary"
	"net/netip"
)

// ChecksumForm says whether the checksum of a version 3 packet on IPv4 covers a pseudo-header. RFC 5798 5.2.8 was
// ambiguous; RFC 9568 5.2.8 resolved it contrary to keepalived's default.
type ChecksumForm uint8

const (
	// PseudoHeaderChecksum also covers source, destination, protocol and length: keepalived's default, and the only
	// form that keepalived accepts without v3_checksum_as_v2.
	PseudoHeaderChecksum ChecksumForm = iota
	// PlainChecksum covers the VRRP message only: RFC 9568 on IPv4, most routers, keepalived's v3_checksum_as_v2. On
	// IPv6 the checksum always covers the pseudo-header.
	PlainChecksum
)

// String returns "pseudo_header" or "plain".
func (f ChecksumForm) String() string {
	if f == PlainChecksum {
		return "plain"
	}
	return "pseudo_header"
}

// pseudoHeaderFor returns the initial sum for the checksum of a message of the given length; 0 if the checksum covers
// the message only.
func pseudoHeaderFor(version uint8, form ChecksumForm, src, dst netip.Addr, length int) uint32 {
	if version == 2 || src.Is4() && form == PlainChecksum {
		return 0
	}
	return pseudoHeader(src, dst, length)
}

// pseudoHeader sums source, destination, protocol and length: RFC 8200 8.1, and RFC 9293 3.1 for IPv4.
func pseudoHeader(src, dst netip.Addr, length int) uint32 {
	sum := uint32(Protocol) + uint32(length)
	for _, a := range [...]netip.Addr{src, dst} {
		if a.Is4() {
			b := a.As4()
			sum += sum16(b[:])
		} else {
			b := a.As16()
			sum += sum16(b[:])
		}
	}
	return sum
}

// verify reports whether msg carries a valid checksum, in any form that its version and family allow.
func verify(version uint8, msg []byte, src, dst netip.Addr) bool {
	body := sum16(msg)
	if (version == 2 || !src.Is6()) && fold(body) == 0xffff {
		return true
	}
	return version == 3 && src.IsValid() && dst.IsValid() && fold(body+pseudoHeader(src, dst, len(msg))) == 0xffff
}

// checksum returns the Internet checksum (RFC 1071) of msg, whose checksum field must be zero, starting from initial.
func checksum(msg []byte, initial uint32) uint16 {
	return ^fold(initial + sum16(msg))
}

// sum16 adds up the 16-bit words of b. The longest VRRP message, 4 088 bytes, cannot overflow 32 bits.
func sum16(b []byte) uint32 {
	var sum uint32
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	return sum
}

// fold adds the carries of a sum back in (one's complement).
func fold(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}
