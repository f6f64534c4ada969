package vrrpsock

import (
	"encoding/binary"
	"net"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

const (
	// sampleSize is how many packets that no instance wants are looked at in one call.
	sampleSize = 64
	// sampleBuffer is room for about as many in the kernel, which doubles it; a small packet takes 832 bytes.
	sampleBuffer = sampleSize * 832 / 2
)

// others is a second socket beside the first, which gets what the first one's filter keeps out. Its queue is small:
// what a flood makes overflow costs nothing but a count. It is guarded by the Socket's lock.
type others struct {
	fd   int    // 0: not open. Not part of the runtime's poller, for nobody waits for it
	last uint32 // the kernel's count of dropped packets at the last look; it wraps round
}

// follow opens the socket, unless it is open, and makes it take all but the adverts of the virtual routers.
func (o *others) follow(iface string, vrids []uint8) error {
	inverse := program(vrids, 0, everything)
	if o.fd != 0 {
		return attach(o.fd, inverse)
	}
	ifi, err := net.InterfaceByName(iface)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	err = attach(fd, inverse)
	if err == nil {
		err = configure(fd, ifi)
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, sampleBuffer) // a larger one only costs time
	}
	if err != nil {
		_ = unix.Close(fd)
		return err
	}
	o.fd = fd
	return nil
}

// take returns what has been queued, at most sampleSize packets, and how many did not fit.
func (o *others) take() (seen []vrrp.Datagram, unseen uint64) {
	if o.fd == 0 {
		return nil, 0
	}
	b := make([]byte, bufferSize)
	for len(seen) < sampleSize {
		n, err := receive(o.fd, b)
		if err != nil {
			break // empty, or broken like the first socket, which tells
		}
		seen = append(seen, kept(b[:n]))
	}
	if now, err := dropped(o.fd); err == nil {
		unseen = uint64(now - o.last)
		o.last = now
	}
	return seen, unseen
}

func (o *others) close() {
	if o.fd != 0 {
		_ = unix.Close(o.fd) // nothing was written to it
		o.fd, o.last = 0, 0
	}
}

// dropped is how many packets a socket has lost because its queue was full, by SO_MEMINFO (linux/sock_diag.h).
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

// Others returns, without waiting, at most 64 of the packets that Filter kept from the reader, and how many more there
// were since the last call that did not fit into the kernel's queue. That number may include packets of the reader's own
// that came while there was no room (seen with Linux 6.18, whose net/ipv4/raw.c looks for room first). What the sender
// wrote is passed on unjudged. There are none before Filter.
func (s *Socket) Others() (seen []vrrp.Datagram, unseen uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.others.take()
}
