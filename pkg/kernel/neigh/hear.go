package neigh

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel/sockets"
)

const (
	// heardSize is how much of a packet Hear reads, in bytes.
	heardSize = 64
	// protocolVRRP is the IP protocol of VRRP (RFC 9568, section 5.1.1.4).
	protocolVRRP = 112
	// heardAtOnce is how many packets are read before the next question, so that a flood does not delay it.
	heardAtOnce = 256

	// ancillary is where a filter finds what the kernel knows about a packet: SKF_AD_OFF in linux/filter.h.
	ancillary            = 0xfffff000
	ancillaryType        = ancillary + 4
	ancillaryVLANTag     = ancillary + 44
	ancillaryVLANPresent = ancillary + 48
	vlanMask             = 0xfff // 0 is the native VLAN, with a priority or without
)

// Hear waits until a packet of another machine has been received on an interface, which shows that its link works: one that is
// sent to this machine only, or ARP, neighbour discovery (RFC 4861) or VRRP. What a switch sends by itself, such as spanning tree
// or LLDP, does not count, nor do packets of other VLANs. So that there is one it asks for the hardware addresses of targets, at
// once and each time that every has passed. source is an address of the interface; it is not needed for IPv4.
//
// Errors: that of ctx when it ends, kernel.ErrNoInterface, kernel.ErrNoNeighbours, ErrNotEthernet, kernel.ErrNotPermitted. A
// question that cannot be asked, for instance because the interface is down, is no error.
func Hear(ctx context.Context, iface string, source netip.Addr, targets []netip.Addr, every time.Duration) error {
	if err := hear(ctx, iface, source, targets, every); err != nil {
		return fmt.Errorf("listen for other machines on %s: %w", iface, translate(err))
	}
	return nil
}

func hear(ctx context.Context, iface string, source netip.Addr, targets []netip.Addr, every time.Duration) error {
	a, err := open(iface)
	if err != nil {
		return err
	}
	defer a.Close()
	fd, err := hearOn(a.index)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }() // nothing is written to it
	var asked time.Time
	for ctx.Err() == nil {
		if asked.IsZero() || time.Since(asked) >= every {
			asked = time.Now()
			a.inquire(source.Unmap(), targets)
		}
		if heard, err := hasHeard(fd); heard || err != nil {
			return err
		}
		limit, cancel := context.WithDeadline(ctx, asked.Add(every))
		err := await(limit, fd)
		cancel()
		if err != nil && limit.Err() == nil {
			return err
		}
	}
	return ctx.Err()
}

// hearOn opens a socket that receives all packets of an interface, but for ours and those of other VLANs, from the network header
// on.
func hearOn(index int) (fd int, err error) {
	// Without a protocol the socket receives nothing until it has its filter.
	fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	err = sockets.Filter(fd, []unix.SockFilter{
		// On a VLAN interface Linux 4.20 to 6.1 leaves the number of the VLAN in a packet without a tag.
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: ancillaryVLANPresent},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 0, Jt: 3},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: ancillaryVLANTag},
		{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: vlanMask},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 0, Jf: 2},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: ancillaryType},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.PACKET_OUTGOING, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
		{Code: unix.BPF_RET | unix.BPF_K, K: heardSize},
	})
	if err == nil {
		err = os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: bigEndian(unix.ETH_P_ALL), Ifindex: index}))
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// hasHeard reads what is queued, and reports whether another machine has sent some of it.
func hasHeard(fd int) (bool, error) {
	name, err := unix.Getsockname(fd)
	if err != nil {
		return false, os.NewSyscallError("getsockname", err)
	}
	own, _ := name.(*unix.SockaddrLinklayer)
	var b [heardSize]byte
	for range heardAtOnce {
		n, from, err := unix.Recvfrom(fd, b[:], unix.MSG_DONTWAIT)
		if err != nil {
			return false, nil // nothing more, or the interface is down now
		}
		by, ok := from.(*unix.SockaddrLinklayer)
		if !ok || own != nil && by.Halen == own.Halen && by.Addr == own.Addr { // ours, by a loop in the network
			continue
		}
		if evidence(bigEndian(by.Protocol), by.Pkttype == unix.PACKET_HOST, b[:n]) {
			return true, nil
		}
	}
	return false, nil
}

// evidence reports whether a packet shows that another machine is heard; forUs says that it is sent to this machine only. b begins
// with the network header.
func evidence(protocol uint16, forUs bool, b []byte) bool {
	const (
		protocol4 = 9 // offsets (RFC 791, section 3.1; RFC 8200, section 3)
		next6     = 6
		icmp6     = 40
		firstND   = 133 // a router solicitation, up to
		lastND    = 137 // a redirect (RFC 4861, section 4)
	)
	switch {
	case protocol == unix.ETH_P_ARP:
		return true
	case protocol == unix.ETH_P_IP && len(b) > protocol4:
		return forUs || b[protocol4] == protocolVRRP
	case protocol == unix.ETH_P_IPV6 && len(b) > icmp6:
		return forUs || b[next6] == protocolVRRP || b[next6] == nextHeaderICMPv6 && b[icmp6] >= firstND && b[icmp6] <= lastND
	}
	return false
}

// inquire asks for the hardware addresses of the targets. What is not possible now may be later.
func (a *Announcer) inquire(source netip.Addr, targets []netip.Addr) {
	for _, target := range targets {
		_ = a.sendAll(target.Unmap(), func(own mac, target netip.Addr) ([][]byte, error) {
			from, known := source, source.BitLen() == target.BitLen()
			switch {
			case target.Is6():
				var err error
				if !known {
					from, err = a.linkLocal()
				}
				f := solicitation(own, from, target)
				return [][]byte{f[:]}, err
			case known:
				f := inquiry(own, from, target)
				return [][]byte{f[:]}, nil
			}
			f := probe(own, target)
			return [][]byte{f[:]}, nil
		})
	}
}
