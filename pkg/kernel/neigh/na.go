package neigh

import (
	"encoding/binary"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

const (
	ipv6Size   = 40
	icmpOffset = ethernetSize + ipv6Size
	targetAt   = icmpOffset + 8
	naSize     = icmpOffset + 24 + optionSize
	optionSize = 2 + macSize // of a link-layer address

	nextHeaderICMPv6      = 58
	hopLimit              = 255 // shows that the sender is on the link (RFC 4861, section 7.1.2)
	advertisement         = 136
	targetLinkLayer       = 2 // an option (RFC 4861, section 4.6.1)
	routerFlag       byte = 0x80
	overrideFlag     byte = 0x20
)

var (
	// allNodes is where unsolicited advertisements go (RFC 4861, section 7.2.6).
	allNodes    = netip.MustParseAddr("ff02::1")
	allNodesMAC = mac{0x33, 0x33, 0, 0, 0, 1} // RFC 2464, section 7
)

// unsolicited encodes an Ethernet frame with an unsolicited neighbour advertisement (RFC 4861, sections 4.4 and 7.2.6)
// that replaces what neighbours know about the VIP: it has the override flag and the sender's hardware address, and comes
// from the VIP, as keepalived's. router says whether this host forwards packets on the interface.
func unsolicited(sender mac, vip netip.Addr, router bool) [naSize]byte {
	var f [naSize]byte
	copy(f[0:], allNodesMAC[:])
	copy(f[6:], sender[:])
	binary.BigEndian.PutUint16(f[12:], unix.ETH_P_IPV6)
	ip := f[ethernetSize:]
	source, destination := vip.As16(), allNodes.As16()
	ip[0] = 6 << 4
	binary.BigEndian.PutUint16(ip[4:], naSize-icmpOffset)
	ip[6], ip[7] = nextHeaderICMPv6, hopLimit
	copy(ip[8:], source[:])
	copy(ip[24:], destination[:])
	icmp := f[icmpOffset:]
	icmp[0], icmp[4] = advertisement, overrideFlag
	if router {
		icmp[4] |= routerFlag
	}
	copy(icmp[8:], source[:]) // the target
	icmp[24], icmp[25] = targetLinkLayer, optionSize/8
	copy(icmp[26:], sender[:])
	binary.BigEndian.PutUint16(icmp[2:], checksum(f[ethernetSize:]))
	return f
}

// checksum returns the checksum of ICMPv6 in a packet with an empty checksum field and without extension headers (RFC
// 4443, section 2.3).
func checksum(packet []byte) uint16 {
	sum := uint32(nextHeaderICMPv6) + uint32(len(packet)-ipv6Size)
	for rest := packet[8:]; len(rest) >= 2; rest = rest[2:] { // the addresses and the message
		sum += uint32(binary.BigEndian.Uint16(rest))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// parseNA reads an Ethernet frame with a neighbour advertisement. sender is the hardware address that it announces: that
// of its option, or else that of the frame. An advertisement that hosts must ignore does not parse (RFC 4861, section
// 7.1.2), except that the checksum is not checked: the frame of a guest of this machine may not have one.
func parseNA(frame []byte) (claim kernel.Claim, sender mac, ok bool) {
	if len(frame) < targetAt+16 {
		return claim, sender, false
	}
	ip, icmp := frame[ethernetSize:], frame[icmpOffset:]
	if binary.BigEndian.Uint16(frame[12:]) != unix.ETH_P_IPV6 || ip[0]>>4 != 6 || ip[6] != nextHeaderICMPv6 || ip[7] != hopLimit ||
		icmp[0] != advertisement || icmp[1] != 0 {
		return claim, sender, false
	}
	sender = mac(frame[6:12])
	for options := icmp[24:]; len(options) >= 2; {
		size := int(options[1]) * 8
		if size == 0 || size > len(options) {
			return claim, sender, false
		}
		if options[0] == targetLinkLayer && size == optionSize {
			sender = mac(options[2:optionSize])
		}
		options = options[size:]
	}
	claim.Address, _ = netip.AddrFromSlice(icmp[8:24])
	claim.HardwareAddr = net.HardwareAddr(sender[:]).String()
	return claim, sender, true
}

// advertisementsOf returns a classic BPF program (Documentation/networking/filter.rst) that accepts neighbour
// advertisements whose target has the last four bytes of one of the watched addresses; the listener compares the others.
// With too many addresses it accepts all advertisements.
func advertisementsOf(watched []netip.Addr) []unix.SockFilter {
	all := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: claimSize}
	none := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0}
	p := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: ethernetSize + 6},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: nextHeaderICMPv6, Jt: 1},
		none,
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: icmpOffset},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: advertisement, Jt: 1},
		none,
	}
	if len(watched) > watchedMost {
		return append(p, all)
	}
	p = append(p, unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: targetAt + 12})
	for _, a := range watched {
		sixteen := a.As16()
		p = append(p, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: binary.BigEndian.Uint32(sixteen[12:]), Jf: 1}, all)
	}
	return append(p, none)
}
