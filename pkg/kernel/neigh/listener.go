package neigh

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/sockets"
)

const (
	// claimsKept is how many packets the kernel queues between two calls of Claims; more say nothing new.
	claimsKept = 64
	// claimsBuffer is the receive buffer for about claimsKept packets, in bytes. The kernel doubles it; a small packet
	// takes 832 bytes.
	claimsBuffer = claimsKept * 832 / 2
	// watchedMost is how many addresses the filter compares, each in two instructions, which the kernel translates to at
	// most four of 8 bytes. The old and the new filter must fit into net.core.optmem_max together, 20 KB before Linux 6.8.
	watchedMost = 200

	// claimSize is how much of a packet is read, in bytes: a neighbour advertisement has few options.
	claimSize = 256

	senderHardware = ethernetSize + 8
	senderAddress  = ethernetSize + 14
)

// Listener receives the packets by which other machines on a link claim certain addresses of one family: ARP requests and
// replies whose sender address is one of them (RFC 5227 section 2.4), or neighbour advertisements for them. The kernel
// filters out all others. Without promiscuous mode it receives what is sent to all machines or to this one. It must not be
// used by several goroutines.
type Listener struct {
	form
	fd      int // not in the runtime's poller, because it is never waited for
	iface   string
	watched []netip.Addr
}

// form is how a family claims addresses.
type form struct {
	family   kernel.Family
	protocol uint16
	program  func(watched []netip.Addr) []unix.SockFilter
	parse    func(frame []byte) (claim kernel.Claim, sender mac, ok bool)
}

// formOf returns the form of a family: that of IPv6, or else of IPv4.
func formOf(family kernel.Family) form {
	if family == kernel.IPv6 {
		return form{family, unix.ETH_P_IPV6, advertisementsOf, parseNA}
	}
	return form{family, unix.ETH_P_ARP, claimsOf, parseClaim}
}

// Listen opens a listener that watches no address yet. The caller closes it.
//
// Errors: kernel.ErrNoInterface, ErrNotEthernet, kernel.ErrNotPermitted.
func Listen(iface string, family kernel.Family) (*Listener, error) {
	l, err := listen(iface, family)
	if err != nil {
		return nil, fmt.Errorf("listen for claims of VIPs on %s: %w", iface, translate(err))
	}
	return l, nil
}

func listen(iface string, family kernel.Family) (*Listener, error) {
	ifi, err := net.InterfaceByName(iface)
	if err != nil {
		return nil, err
	}
	// Without a protocol the socket receives nothing until it has its filter.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	l := &Listener{form: formOf(family), fd: fd, iface: iface}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, claimsBuffer) // a larger buffer only costs time
	err = l.attach(nil)
	if err == nil {
		err = sockets.Stamp(fd)
	}
	if err == nil {
		err = os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: bigEndian(l.protocol), Ifindex: ifi.Index}))
	}
	if err == nil {
		_, err = l.own()
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// bigEndian returns a 16-bit number in network byte order, as packet(7) wants it.
func bigEndian(n uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], n)
	return binary.NativeEndian.Uint16(b[:])
}

// Close releases the socket.
func (l *Listener) Close() { _ = unix.Close(l.fd) } // nothing is written to it

// own returns the current hardware address of the interface, which may change.
func (l *Listener) own() (mac, error) {
	name, err := unix.Getsockname(l.fd)
	if err != nil {
		return mac{}, os.NewSyscallError("getsockname", err)
	}
	link, ok := name.(*unix.SockaddrLinklayer)
	if !ok || link.Hatype != unix.ARPHRD_ETHER || link.Halen != macSize {
		return mac{}, ErrNotEthernet
	}
	return mac(link.Addr[:macSize]), nil
}

// Claims sets the addresses to watch, of which it ignores those of another family, and returns the claims of other machines
// to them since the last call, each once. It does not block. Claims to an address that was not watched before this call are
// not reported.
func (l *Listener) Claims(watched []netip.Addr) ([]kernel.Claim, error) {
	watched = slices.DeleteFunc(slices.Clone(watched), func(a netip.Addr) bool { return kernel.FamilyOf(a) != l.family })
	own, err := l.own()
	if err == nil && !slices.Equal(watched, l.watched) {
		if err = l.attach(watched); err == nil {
			l.watched = watched
		}
	}
	if err != nil {
		return nil, fmt.Errorf("listen for claims of VIPs on %s: %w", l.iface, translate(err))
	}
	var claims []kernel.Claim
	for range claimsKept {
		claim, sender, ok, err := l.next()
		if err != nil {
			break // empty, or the interface is down or gone, which the owner notices in another way
		}
		if !ok || sender == own || !slices.Contains(l.watched, claim.Address) {
			continue
		}
		claims = slices.DeleteFunc(claims, func(c kernel.Claim) bool { return c.Address == claim.Address && c.HardwareAddr == claim.HardwareAddr })
		claims = append(claims, claim)
	}
	return claims, nil
}

// next reads a packet. It is not ok if it claims no address.
func (l *Listener) next() (claim kernel.Claim, sender mac, ok bool, err error) {
	var frame [claimSize]byte
	oob := make([]byte, sockets.ArrivalSize)
	n, controls, _, _, err := unix.Recvmsg(l.fd, frame[:], oob, unix.MSG_DONTWAIT)
	if err != nil {
		return claim, sender, false, err
	}
	claim, sender, ok = l.parse(frame[:n])
	if at := sockets.Arrival(oob[:controls]); at > 0 {
		claim.Age = max(time.Duration(time.Now().UnixNano())-at, 0)
	}
	return claim, sender, ok, nil
}

// parseClaim reads an Ethernet frame with an ARP packet for IPv4.
func parseClaim(frame []byte) (claim kernel.Claim, sender mac, ok bool) {
	if len(frame) < frameSize {
		return claim, sender, false
	}
	arp := frame[ethernetSize:]
	op := operation(binary.BigEndian.Uint16(arp[6:]))
	if binary.BigEndian.Uint16(frame[12:]) != unix.ETH_P_ARP || binary.BigEndian.Uint16(arp) != unix.ARPHRD_ETHER ||
		binary.BigEndian.Uint16(arp[2:]) != unix.ETH_P_IP || arp[4] != macSize || arp[5] != 4 || op != request && op != reply {
		return claim, sender, false
	}
	sender = mac(frame[senderHardware : senderHardware+macSize])
	claim.Address = netip.AddrFrom4([4]byte(frame[senderAddress : senderAddress+4]))
	claim.HardwareAddr = net.HardwareAddr(sender[:]).String()
	return claim, sender, true
}

// attach sets the kernel's filter.
func (l *Listener) attach(watched []netip.Addr) error {
	return sockets.Filter(l.fd, l.program(watched))
}

// claimsOf returns a classic BPF program (Documentation/networking/filter.rst) that accepts ARP packets whose sender
// address is one of the watched ones. With too many of them it accepts all ARP packets.
func claimsOf(watched []netip.Addr) []unix.SockFilter {
	all := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: claimSize}
	if len(watched) > watchedMost {
		return []unix.SockFilter{all}
	}
	p := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: senderAddress}}
	for _, a := range watched {
		four := a.As4()
		p = append(p, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: binary.BigEndian.Uint32(four[:]), Jf: 1}, all)
	}
	return append(p, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0})
}
