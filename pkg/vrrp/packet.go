package vrrp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

const (
	// Protocol is the IP protocol number of VRRP.
	Protocol = 112
	// TTL is the only time to live (IPv6: hop limit) that a received VRRP packet may have (RFC 9568 5.1.1.3).
	TTL = 255
	// PriorityOwner is the priority of the router that owns the VIPs; it takes them at start (RFC 9568 6.1).
	PriorityOwner = 255
	// PriorityResign is the priority of the advert by which a MASTER resigns (RFC 9568 5.2.4).
	PriorityResign = 0
	// PriorityDegraded is the priority of a director that is degraded, whatever its cluster file says: the lowest one that
	// RFC 9568 allows a router.
	PriorityDegraded = 1
	// MaxIntervalV3 is the longest advertisement interval of version 3: 12 bits of centiseconds.
	MaxIntervalV3 = 4095 * centisecond
	// MaxIntervalV2 is the longest advertisement interval of version 2: 8 bits of seconds.
	MaxIntervalV2 = 255 * time.Second

	centisecond = 10 * time.Millisecond

	typeAdvertisement = 1
	headerLen         = 8
	authLenV2         = PasswordLen // RFC 3768 5.3.10: present and zero with auth type 0
	checksumOffset    = 6

	// ethernetPayloadIPv4 is the size of the IP payload in the smallest Ethernet frame, after an IPv4 header without
	// options: surplus bytes within it are padding.
	ethernetPayloadIPv4 = 46 - 20
)

// Packet is a VRRP advertisement.
type Packet struct {
	// Version is 2 or 3.
	Version uint8
	// VRID is the virtual router, 1-255.
	VRID uint8
	// Priority is 1-255, or 0: the sender resigns as MASTER.
	Priority uint8
	// Interval is the sender's advertisement interval: whole seconds up to MaxIntervalV2 in version 2, steps of 10 ms
	// up to MaxIntervalV3 in version 3; never 0.
	Interval time.Duration
	// Addresses are the VIPs, up to 255 of them, all of the address family of the packet.
	Addresses []netip.Addr
	// AuthType is the authentication type of version 2; only 0 (none) and 1 (a password) can be sent. In version 3 it is
	// 0.
	AuthType uint8
	// Password is that of AuthType 1. In a received packet it may have any bytes; it is zero if all of them are.
	Password Password
}

// Append appends the wire form of p to b, with the checksum for a packet from src to dst. Version 2 ignores form: its
// checksum never covers a pseudo-header. If the packet cannot be encoded, Append returns b unchanged and an error.
func (p Packet) Append(b []byte, src, dst netip.Addr, form ChecksumForm) ([]byte, error) {
	src, dst = src.Unmap(), dst.Unmap()
	if err := p.checkEncodable(src, dst); err != nil {
		return b, fmt.Errorf("encode VRRP advert of VRID %d: %w", p.VRID, err)
	}
	start := len(b)
	b = append(b, p.Version<<4|typeAdvertisement, p.VRID, p.Priority, uint8(len(p.Addresses)))
	if p.Version == 2 {
		b = append(b, p.AuthType, uint8(p.Interval/time.Second))
	} else {
		b = binary.BigEndian.AppendUint16(b, uint16(p.Interval/centisecond))
	}
	b = append(b, 0, 0)
	for _, a := range p.Addresses {
		b = appendAddr(b, a, src.Is4())
	}
	if p.Version == 2 {
		secret := p.Password.bytes()
		b = append(b, secret[:]...)
	}
	msg := b[start:]
	sum := checksum(msg, pseudoHeaderFor(p.Version, form, src, dst, len(msg)))
	binary.BigEndian.PutUint16(msg[checksumOffset:], sum)
	return b, nil
}

func appendAddr(b []byte, a netip.Addr, four bool) []byte {
	if four {
		four := a.As4()
		return append(b, four[:]...)
	}
	sixteen := a.As16()
	return append(b, sixteen[:]...)
}

func (p Packet) checkEncodable(src, dst netip.Addr) error {
	switch {
	case p.Version != 2 && p.Version != 3:
		return fmt.Errorf("version is %d, must be 2 or 3", p.Version)
	case p.VRID == 0:
		return fmt.Errorf("VRID is 0, must be 1-255")
	case !src.IsValid() || !dst.IsValid() || src.Is4() != dst.Is4():
		return fmt.Errorf("source %s and destination %s must be of one address family", src, dst)
	case p.Version == 2 && !src.Is4():
		return fmt.Errorf("version 2 is IPv4 only; use version 3 for %s", src)
	case p.AuthType > authPassword || p.AuthType != authNone && p.Version != 2:
		return fmt.Errorf("auth type of version %d is %d, must be 0 (none) or, in version 2, 1 (a password)", p.Version, p.AuthType)
	case (p.AuthType == authPassword) == p.Password.IsZero():
		return fmt.Errorf("auth type is %d: a password belongs to type 1 only, which needs one", p.AuthType)
	case len(p.Addresses) > 255:
		return fmt.Errorf("%d addresses, must be at most 255", len(p.Addresses))
	}
	for _, a := range p.Addresses {
		if src.Is4() && !a.Unmap().Is4() || !src.Is4() && !a.Is6() {
			return fmt.Errorf("address %s is not of the family of source %s", a, src)
		}
	}
	return CheckInterval(p.Version, p.Interval)
}

// CheckInterval returns an error if interval cannot be encoded in version.
func CheckInterval(version uint8, interval time.Duration) error {
	step, limit := centisecond, MaxIntervalV3
	if version == 2 {
		step, limit = time.Second, MaxIntervalV2
	}
	if interval < step || interval > limit || interval%step != 0 {
		return fmt.Errorf("advertisement interval %s of version %d must be a multiple of %s up to %s", interval, version, step, limit)
	}
	return nil
}

// Parse decodes the IP payload b of a packet sent from src to dst. It accepts both checksum forms of version 3 on IPv4,
// and surplus bytes only as the padding of a minimum-size Ethernet frame. The reason is DropNone if the packet is
// valid; otherwise the zero Packet is returned.
func Parse(b []byte, src, dst netip.Addr) (Packet, DropReason) {
	src, dst = src.Unmap(), dst.Unmap()
	if len(b) == 0 {
		return Packet{}, DropLength
	}
	version, addrLen := b[0]>>4, 4
	if src.Is6() {
		addrLen = 16
	}
	switch {
	case version != 2 && version != 3, version == 2 && addrLen == 16:
		return Packet{}, DropVersion
	case len(b) < headerLen:
		return Packet{}, DropLength
	}
	size := headerLen + int(b[3])*addrLen
	if version == 2 {
		size += authLenV2
	}
	if len(b) < size || len(b) > size && (addrLen == 16 || len(b) > ethernetPayloadIPv4) {
		return Packet{}, DropLength
	}
	msg := b[:size]
	if !verify(version, msg, src, dst) {
		return Packet{}, DropChecksum
	}
	return decode(version, msg, addrLen)
}

// decode decodes a message whose length and checksum are valid.
func decode(version uint8, msg []byte, addrLen int) (Packet, DropReason) {
	p := Packet{Version: version, VRID: msg[1], Priority: msg[2]}
	if version == 2 {
		p.AuthType, p.Interval = msg[4], time.Duration(msg[5])*time.Second
	} else {
		// RFC 9568 5.2.6: the four bits above the interval are ignored on reception.
		p.Interval = time.Duration(binary.BigEndian.Uint16(msg[4:])&0x0fff) * centisecond
	}
	switch {
	case msg[0]&0x0f != typeAdvertisement:
		return Packet{}, DropType
	case p.VRID == 0:
		return Packet{}, DropVRID
	case p.Interval == 0: // the master-down interval would be 0, and two MASTERs would alternate
		return Packet{}, DropInterval
	}
	p.Addresses = make([]netip.Addr, 0, msg[3])
	for a := msg[headerLen:]; len(p.Addresses) < int(msg[3]); a = a[addrLen:] {
		addr, _ := netip.AddrFromSlice(a[:addrLen])
		p.Addresses = append(p.Addresses, addr)
	}
	if p.AuthType == authPassword {
		p.Password = passwordOf([PasswordLen]byte(msg[len(msg)-authLenV2:]))
	}
	return p, DropNone
}
