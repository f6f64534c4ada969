package neigh

import (
	"encoding/binary"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

const (
	nsSize          = icmpOffset + 24 + optionSize
	solicitationOf  = 135
	sourceLinkLayer = 1 // an option (RFC 4861, section 4.6.1)
)

// solicitation encodes an Ethernet frame with a neighbour solicitation for the VIP (RFC 4861, section 4.3). Its source is not
// the unspecified address, as in duplicate address detection: that would be answered to all nodes, whose entries for the
// VIP would change.
func solicitation(sender mac, source, vip netip.Addr) [nsSize]byte {
	var f [nsSize]byte
	from, target := source.As16(), vip.As16()
	group := [16]byte{0: 0xff, 1: 0x02, 11: 0x01, 12: 0xff, 13: target[13], 14: target[14], 15: target[15]} // RFC 4291, section 2.7.1
	copy(f[0:], []byte{0x33, 0x33, group[12], group[13], group[14], group[15]})                             // RFC 2464, section 7
	copy(f[6:], sender[:])
	binary.BigEndian.PutUint16(f[12:], unix.ETH_P_IPV6)
	ip := f[ethernetSize:]
	ip[0] = 6 << 4
	binary.BigEndian.PutUint16(ip[4:], nsSize-icmpOffset)
	ip[6], ip[7] = nextHeaderICMPv6, hopLimit
	copy(ip[8:], from[:])
	copy(ip[24:], group[:])
	icmp := f[icmpOffset:]
	icmp[0] = solicitationOf
	copy(icmp[8:], target[:])
	icmp[24], icmp[25] = sourceLinkLayer, optionSize/8
	copy(icmp[26:], sender[:])
	binary.BigEndian.PutUint16(icmp[2:], checksum(f[ethernetSize:]))
	return f
}

// askerFor is how long the source of questions is used: to find it, the kernel lists all addresses of this host, of which
// there may be thousands, and a question from an address that is gone is only not answered.
const askerFor = 10 * time.Second

// asker is the source of questions, and when it was found.
type asker struct {
	source netip.Addr
	found  time.Time
}

// linkLocal returns the link-local address of the interface as it was askerFor ago at most.
func (a *Announcer) linkLocal() (netip.Addr, error) {
	if known := a.asks.Load(); known != nil && time.Since(known.found) < askerFor {
		return known.source, nil
	}
	source, err := linkLocalOf(a.index)
	if err == nil {
		a.asks.Store(&asker{source, time.Now()})
	}
	return source, err
}

// linkLocalOf returns the link-local address of an interface that is no VIP: those have the longest prefix.
func linkLocalOf(index int) (netip.Addr, error) {
	ifi, err := net.InterfaceByIndex(index)
	if err != nil {
		return netip.IPv6Unspecified(), translate(err)
	}
	all, err := ifi.Addrs()
	if err != nil {
		return netip.IPv6Unspecified(), translate(err)
	}
	for _, one := range all {
		if n, ok := one.(*net.IPNet); ok {
			a, _ := netip.AddrFromSlice(n.IP)
			if bits, _ := n.Mask.Size(); a.Is6() && a.IsLinkLocalUnicast() && bits < a.BitLen() {
				return a, nil
			}
		}
	}
	return netip.IPv6Unspecified(), ErrNoAddress
}
