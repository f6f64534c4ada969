package vrrpsock

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel/sockets"
)

// Router is a virtual router on an interface of this host.
type Router struct {
	Interface string
	VRID      uint8
}

// Outgoing returns the virtual routers whose adverts leave the network namespace of the calling thread within a time. A
// VRRP socket does not receive the adverts of its own host, so this uses a packet socket (packet(7)).
//
// Errors: ErrNotPermitted.
func Outgoing(within time.Duration) (map[Router]bool, error) {
	every := uint16(unix.ETH_P_ALL>>8 | unix.ETH_P_ALL&0xff<<8) // network byte order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w", translate(err))
	}
	f := os.NewFile(uintptr(fd), "packet socket")
	defer f.Close()
	// Until it is bound, the socket receives nothing.
	if err := errors.Join(sockets.Filter(fd, vrrpOnly()), unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: every})); err != nil {
		return nil, fmt.Errorf("packet socket: %w", translate(err))
	}
	if err := f.SetReadDeadline(time.Now().Add(within)); err != nil {
		return nil, err
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	found, packet := map[Router]bool{}, make([]byte, 256)
	for {
		var n int
		var from unix.Sockaddr
		var failed error
		if err := raw.Read(func(fd uintptr) bool {
			n, from, failed = unix.Recvfrom(int(fd), packet, 0)
			return !errors.Is(failed, unix.EAGAIN)
		}); errors.Is(err, os.ErrDeadlineExceeded) {
			return found, nil
		} else if err = errors.Join(err, failed); err != nil && !errors.Is(err, unix.ENETDOWN) { // one interface is down
			return nil, fmt.Errorf("packet socket: %w", err)
		}
		ll, ok := from.(*unix.SockaddrLinklayer)
		vrid, vrrp := vridOf(packet[:max(n, 0)])
		if !ok || !vrrp || ll.Pkttype != unix.PACKET_OUTGOING {
			continue
		}
		if ifi, err := net.InterfaceByIndex(ll.Ifindex); err == nil {
			found[Router{ifi.Name, vrid}] = true
		}
	}
}

// vrrpOnly is a filter of packets that begin with an IP header.
func vrrpOnly() []unix.SockFilter {
	const protocolOffset, nextHeaderOffset = 9, 6 // of IPv4 and of IPv6
	return []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: protocolOffset},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: protocol, Jt: 3},
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: nextHeaderOffset},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: protocol, Jt: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
		{Code: unix.BPF_RET | unix.BPF_K, K: everything},
	}
}

// vridOf returns the virtual router id of an IP packet; ok is false if it is not VRRP.
func vridOf(packet []byte) (vrid uint8, ok bool) {
	if len(packet) < headerSize {
		return 0, false
	}
	at := int(packet[0]&0xf) * 4
	switch version := packet[0] >> 4; {
	case version == 4 && packet[9] == protocol:
	case version == 6 && packet[6] == protocol:
		at = 40
	default:
		return 0, false
	}
	if len(packet) < at+2 {
		return 0, false
	}
	return packet[at+1], true
}
