package neigh

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

const (
	ethernetSize = 14
	arpSize      = 28
	frameSize    = ethernetSize + arpSize

	macSize = 6
)

// operation is the ARP opcode (RFC 826).
type operation uint16

const (
	request operation = 1
	reply   operation = 2
)

// mac is an Ethernet address.
type mac [macSize]byte

// broadcast is the Ethernet broadcast address.
var broadcast = mac{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// gratuitous encodes an Ethernet frame with an ARP packet (RFC 826) in which sender and target are both the VIP. The
// target hardware address is zero in a request (RFC 5227 section 2.3) and the sender's own in a reply (RFC 5944 section
// 4.6). The frame is not padded to the Ethernet minimum; drivers do that. vip must be an IPv4 address.
func gratuitous(op operation, sender mac, vip netip.Addr) [frameSize]byte {
	var f [frameSize]byte
	copy(f[0:], broadcast[:])
	copy(f[6:], sender[:])
	binary.BigEndian.PutUint16(f[12:], unix.ETH_P_ARP)

	arp := f[ethernetSize:]
	binary.BigEndian.PutUint16(arp[0:], unix.ARPHRD_ETHER)
	binary.BigEndian.PutUint16(arp[2:], unix.ETH_P_IP)
	arp[4] = macSize
	arp[5] = 4 // the size of an IPv4 address
	binary.BigEndian.PutUint16(arp[6:], uint16(op))
	ip := vip.As4()
	copy(arp[8:], sender[:])
	copy(arp[14:], ip[:])
	if op == reply {
		copy(arp[18:], sender[:])
	}
	copy(arp[24:], ip[:])
	return f
}

// probe encodes an ARP probe (RFC 5227 section 1.1): a request for the VIP whose sender address is zero.
func probe(sender mac, vip netip.Addr) [frameSize]byte {
	f := gratuitous(request, sender, vip)
	clear(f[senderAddress : senderAddress+4])
	return f
}

// inquiry encodes an ARP request from source for target.
func inquiry(sender mac, source, target netip.Addr) [frameSize]byte {
	f := gratuitous(request, sender, target)
	ip := source.As4()
	copy(f[senderAddress:], ip[:])
	return f
}
