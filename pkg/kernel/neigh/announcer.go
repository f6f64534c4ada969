package neigh

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/errno"
	"github.com/lvs-director/lvs-director/pkg/kernel/sockets"
)

var (
	// ErrNotEthernet: the interface has no Ethernet address to announce.
	ErrNotEthernet = errors.New("not an Ethernet interface: it has no hardware address to announce, use the NIC that faces the clients")
	// ErrDown: the interface is down.
	ErrDown = errors.New("the interface is down")
	// ErrNoAddress: the address is not valid.
	ErrNoAddress = errors.New("not an address")
)

// writeTimeout bounds the sending of one frame. A frame that is not in the device queue by then is useless.
const writeTimeout = 100 * time.Millisecond

// Announcer announces VIPs of either family on one interface. It follows changes of the interface's hardware address but not of
// its name: the VIP belongs to whichever interface has the name. It may be used by several goroutines.
type Announcer struct {
	conn  *packet.Conn
	raw   syscall.RawConn
	iface string
	index int
	// closed is needed because the error of a closed packet.Conn cannot be identified: it is neither os.ErrClosed nor
	// net.ErrClosed.
	closed atomic.Bool
	asks   atomic.Pointer[asker] // nil: not known yet
}

// Open opens an announcer on the interface. The caller closes it.
//
// Errors: kernel.ErrNoInterface, kernel.ErrNoNeighbours, ErrNotEthernet, kernel.ErrNotPermitted.
func Open(iface string) (*Announcer, error) {
	a, err := open(iface)
	if err != nil {
		return nil, fmt.Errorf("open the socket for announcements on %s: %w", iface, err)
	}
	return a, nil
}

func open(iface string) (*Announcer, error) {
	ifi, err := net.InterfaceByName(iface)
	if err != nil {
		return nil, translate(err)
	}
	// Bound with protocol 0, the socket receives nothing (packet(7)).
	conn, err := packet.Listen(ifi, packet.Raw, 0, nil)
	if err != nil {
		return nil, translate(err)
	}
	a := &Announcer{conn: conn, iface: iface, index: ifi.Index}
	if a.raw, err = conn.SyscallConn(); err == nil {
		_, err = a.hardwareAddr()
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return a, nil
}

// Close releases the socket. It may be called more than once.
func (a *Announcer) Close() error {
	if a.closed.Swap(true) {
		return nil
	}
	if err := a.conn.Close(); err != nil {
		return fmt.Errorf("close the socket for announcements on %s: %w", a.iface, err)
	}
	return nil
}

// Announce tells all neighbours this interface's current hardware address as that of vip: by a gratuitous ARP request and
// a reply, or for IPv6 by an unsolicited neighbour advertisement. It waits at most 100 ms for each. Success means that the
// device accepted the frames, not that any host received them.
//
// Errors: ErrNoAddress, ErrDown, kernel.ErrNoInterface, kernel.ErrNoNeighbours, net.ErrClosed, os.ErrDeadlineExceeded, and
// other errors of send (ENOBUFS).
func (a *Announcer) Announce(vip netip.Addr) error {
	return a.about("announce", vip, func(own mac, vip netip.Addr) ([][]byte, error) {
		if vip.Is6() {
			frame := unsolicited(own, vip, forwards(a.iface))
			return [][]byte{frame[:]}, nil
		}
		one, other := gratuitous(request, own, vip), gratuitous(reply, own, vip)
		return [][]byte{one[:], other[:]}, nil
	})
}

// Ask asks the neighbours whether another machine has vip: by an ARP probe (RFC 5227 section 2.1.1), or for IPv6 by a
// neighbour solicitation. A Listener receives the answer, which goes to this machine only; no machine learns anything about
// vip. Its errors are those of Announce, and ErrNoAddress also if the interface has no link-local address to ask from.
func (a *Announcer) Ask(vip netip.Addr) error {
	return a.about("ask for", vip, func(own mac, vip netip.Addr) ([][]byte, error) {
		if vip.Is6() {
			source, err := a.linkLocal()
			frame := solicitation(own, source, vip)
			return [][]byte{frame[:]}, err
		}
		frame := probe(own, vip)
		return [][]byte{frame[:]}, nil
	})
}

// about sends frames about a VIP.
func (a *Announcer) about(what string, vip netip.Addr, frames func(own mac, vip netip.Addr) ([][]byte, error)) error {
	err := a.sendAll(vip.Unmap(), frames)
	if err != nil && a.closed.Load() {
		err = net.ErrClosed
	}
	if err != nil {
		return fmt.Errorf("%s %s on %s: %w", what, vip, a.iface, err)
	}
	return nil
}

func (a *Announcer) sendAll(vip netip.Addr, frames func(own mac, vip netip.Addr) ([][]byte, error)) error {
	if !vip.IsValid() {
		return ErrNoAddress
	}
	own, err := a.hardwareAddr()
	if err == nil {
		err = a.sameName()
	}
	if err != nil {
		return err
	}
	all, err := frames(own, vip)
	for _, frame := range all {
		if err == nil {
			err = translate(a.send(frame))
		}
	}
	return err
}

// send sends one frame to the destination in it.
func (a *Announcer) send(frame []byte) error {
	to := &unix.SockaddrLinklayer{Ifindex: a.index, Halen: macSize}
	copy(to.Addr[:], frame[:macSize])
	return os.NewSyscallError("sendto", sockets.Write(a.conn, a.raw, writeTimeout, func(fd int) error {
		return unix.Sendto(fd, frame, unix.MSG_DONTWAIT, to)
	}))
}

// hardwareAddr asks the kernel each time, because the address may change while the socket is open: when a bond fails
// over, or by an administrator. The socket refers to its interface by index, so this also detects that the interface is
// gone.
func (a *Announcer) hardwareAddr() (mac, error) {
	var name unix.Sockaddr
	var failed error
	if err := a.raw.Control(func(fd uintptr) { name, failed = unix.Getsockname(int(fd)) }); err != nil {
		return mac{}, translate(err)
	}
	if failed != nil {
		return mac{}, os.NewSyscallError("getsockname", failed)
	}
	link, ok := name.(*unix.SockaddrLinklayer)
	switch {
	case !ok:
		return mac{}, ErrNotEthernet
	case link.Halen == 0 && link.Hatype == 0:
		return mac{}, kernel.ErrNoInterface
	case link.Hatype == unix.ARPHRD_ETHER && link.Halen == macSize:
		return mac(link.Addr[:macSize]), nil
	case a.withoutARP():
		return mac{}, kernel.ErrNoNeighbours
	}
	return mac{}, ErrNotEthernet
}

// withoutARP reports whether the kernel asks nobody for addresses on the interface.
func (a *Announcer) withoutARP() bool {
	flags, err := sockets.InterfaceFlags(a.raw, a.iface)
	return err == nil && flags&unix.IFF_NOARP != 0
}

// sameName returns an error unless the interface still has the name by which it was opened.
func (a *Announcer) sameName() error {
	return translate(sockets.SameInterface(a.raw, a.iface, a.index))
}

// translate maps the kernel's errors to the errors that callers branch on.
func translate(err error) error {
	if errors.Is(err, unix.ENETDOWN) {
		return ErrDown
	}
	return errno.Translate(err, "CAP_NET_RAW")
}
