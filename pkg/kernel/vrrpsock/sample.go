package vrrpsock

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel/sockets"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

const (
	// sampleSize is the maximum number of filtered-out packets that one call returns.
	sampleSize = 64
	// sampleBuffer is the receive buffer for about sampleSize packets, in bytes. The kernel doubles it; a small packet
	// takes 832 bytes.
	sampleBuffer = sampleSize * 832 / 2
)

// others is a second socket that receives the packets that the filter of the first one excludes. Its queue is small:
// packets that overflow it in a flood are only counted. It is guarded by the Socket's lock.
type others struct {
	wire wire
	fd   int    // 0: not open. Not in the runtime's poller, because it is never waited for
	last uint32 // the kernel's count of dropped packets at the last call; it wraps around
}

// exclude opens the socket, as a member of the groups, unless it is open, and makes it receive everything except the
// adverts of the virtual routers.
func (o *others) exclude(w wire, iface string, unwanted wanted, groups []netip.Addr) error {
	inverse := w.program(unwanted, 0, everything)
	if o.fd != 0 {
		return sockets.Filter(o.fd, inverse)
	}
	ifi, err := net.InterfaceByName(iface)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(w.domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	err = sockets.Filter(fd, inverse)
	if err == nil {
		err = w.configure(fd, ifi)
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, sampleBuffer) // a larger buffer only costs time
	}
	for _, group := range groups {
		if err == nil {
			err = w.join(fd, ifi.Index, group)
		}
	}
	if err != nil {
		_ = unix.Close(fd)
		return err
	}
	o.wire, o.fd = w, fd
	return nil
}

// take returns the queued packets, at most sampleSize, and how many did not fit into the queue.
func (o *others) take() (seen []vrrp.Datagram, unseen uint64) {
	if o.fd == 0 {
		return nil, 0
	}
	b := make([]byte, bufferSize)
	for len(seen) < sampleSize {
		d, err := o.wire.receive(o.fd, b)
		if err != nil {
			break // empty, or broken like the first socket, which reports it
		}
		seen = append(seen, ownPayload(d))
	}
	if now, err := dropped(o.fd); err == nil {
		unseen = uint64(now - o.last)
		o.last = now
	}
	return seen, unseen
}

func (o *others) close() {
	if o.fd != 0 {
		_ = unix.Close(o.fd) // nothing is written to it
		o.fd, o.last = 0, 0
	}
}

// dropped returns how many packets a socket has dropped because its queue was full, from SO_MEMINFO
// (linux/sock_diag.h).
func dropped(fd int) (uint32, error) {
	const fields, drops = 9, 8 // SK_MEMINFO_VARS, SK_MEMINFO_DROPS
	var info [fields * 4]byte
	size := uint32(len(info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return 0, errno
	}
	return binary.NativeEndian.Uint32(info[drops*4:]), nil
}

// Others returns, without blocking, at most 64 of the packets that Filter excluded, and how many more since the last
// call did not fit into the kernel's queue. That number may include adverts that pass Filter and arrived while the
// queue of Others was full (seen with Linux 6.18, whose net/ipv4/raw.c checks for room first). The content is not
// checked. Before Filter there are none.
func (s *Socket) Others() (seen []vrrp.Datagram, unseen uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.others.take()
}
