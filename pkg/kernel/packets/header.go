package packets

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Sizes in bytes.
const (
	arpSize  = 28
	ipv4Size = 20
	ipv6Size = 40
	udpSize  = 8
	tcpSize  = 20
	vrrpSize = 8
	igmpSize = 8
	icmpSize = 8
	bfdSize  = 24 // without its password
	secret   = 8  // the password of VRRP version 2, after the addresses
	quoted   = 8  // what an ICMP error is about, after its IP header
	neighbor = 72 // a message of neighbour discovery with options
)

const (
	vrrp    = 112  // the IP protocol
	bfdPort = 3784 // RFC 5881, section 4
)

// headers returns how many bytes of a packet, which begins with its network header, are headers that are recorded. 0: the packet is
// not recorded.
func headers(etherType uint16, packet []byte) int {
	kept := 0
	switch etherType {
	case unix.ETH_P_ARP:
		kept = arpSize
	case unix.ETH_P_IP:
		if size := sizeOfIPv4(packet); size > 0 && binary.BigEndian.Uint16(packet[6:])&0x1fff == 0 { // others are later fragments
			kept = after(size, packet[9], packet[16] >= 0xe0, packet)
		}
	case unix.ETH_P_IPV6:
		if len(packet) >= ipv6Size {
			kept = after(ipv6Size, packet[6], packet[24] == 0xff, packet)
		}
	}
	return min(kept, len(packet))
}

// sizeOfIPv4 returns the size of a header of IPv4, 0 if it is not whole.
func sizeOfIPv4(packet []byte) int {
	if len(packet) < ipv4Size {
		return 0
	}
	if size := int(packet[0]&0xf) * 4; size >= ipv4Size && size <= len(packet) {
		return size
	}
	return 0
}

// after returns the size of an IP header together with the headers that follow it.
func after(size int, protocol byte, multicast bool, packet []byte) int {
	next := packet[size:]
	switch protocol {
	case vrrp:
		return size + advert(packet[0]>>4 == 6, next)
	case unix.IPPROTO_ICMP:
		const firstError, lastError = 3, 12
		if len(next) > icmpSize && next[0] >= firstError && next[0] <= lastError && next[0] != 8 {
			return size + icmpSize + sizeOfIPv4(next[icmpSize:]) + quoted
		}
		return size + icmpSize
	case unix.IPPROTO_ICMPV6:
		const firstInformation, firstNeighbour, lastNeighbour = 128, 133, 137
		switch {
		case len(next) > 0 && next[0] < firstInformation:
			return size + icmpSize + ipv6Size + quoted
		case len(next) > 0 && next[0] >= firstNeighbour && next[0] <= lastNeighbour:
			return size + neighbor
		}
		return size + icmpSize
	case unix.IPPROTO_IGMP:
		return size + igmpSize
	case unix.IPPROTO_UDP:
		switch {
		case len(next) >= udpSize && binary.BigEndian.Uint16(next[2:]) == bfdPort:
			return size + udpSize + bfdSize
		case multicast:
			return size + udpSize
		}
	case unix.IPPROTO_TCP:
		const flags, ends = 13, 0x07 // FIN, SYN and RST
		if len(next) >= tcpSize && next[flags]&ends != 0 {
			return size + max(tcpSize, int(next[12]>>4)*4)
		}
	}
	return 0
}

// advert returns the size of an advert without a password.
func advert(ipv6 bool, next []byte) int {
	if len(next) < vrrpSize {
		return len(next)
	}
	address := 4
	if ipv6 {
		address = 16
	}
	kept := vrrpSize + int(next[3])*address
	if next[0]>>4 == 2 { // a wrong number of addresses does not show it either
		kept = min(kept, max(vrrpSize, len(next)-secret))
	}
	return kept
}

// length returns how long a packet was, of which a part is given.
func length(etherType uint16, packet []byte) int {
	switch {
	case etherType == unix.ETH_P_IP && len(packet) >= ipv4Size:
		return max(len(packet), int(binary.BigEndian.Uint16(packet[2:])))
	case etherType == unix.ETH_P_IPV6 && len(packet) >= ipv6Size:
		return max(len(packet), ipv6Size+int(binary.BigEndian.Uint16(packet[4:])))
	}
	return len(packet)
}
