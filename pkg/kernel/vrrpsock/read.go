package vrrpsock

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// Pending returns what is queued on the socket, oldest first, without waiting;
// nothing queued is no error. What the senders wrote is passed on unjudged; a
// payload longer than any advert is cut off somewhere behind that length. The payloads are the caller's. After a stall of its process the caller
// learns from it what the peers said meanwhile.
//
// Errors: net.ErrClosed, and what else receiving answers; what was read before
// the error is returned with it.
func (s *Socket) Pending() ([]vrrp.Datagram, error) {
	var pending []vrrp.Datagram
	b := make([]byte, bufferSize)
	for len(pending) < pendingLimit {
		var n int
		var failed error
		// Control instead of Read: it neither waits for a Wait of another goroutine
		// nor gives up when the deadline of that is over.
		err := s.raw.Control(func(fd uintptr) { n, failed = receive(int(fd), b) })
		if failed == unix.EAGAIN {
			return pending, nil
		}
		if err = errors.Join(err, failed); err != nil {
			return pending, fmt.Errorf("read VRRP socket on %s: %w", s.iface, translate(err))
		}
		pending = append(pending, kept(b[:n]))
	}
	return pending, nil
}

// kept is parse for a buffer that is used again.
func kept(b []byte) vrrp.Datagram {
	d := parse(b)
	d.Payload = bytes.Clone(d.Payload)
	return d
}

func receive(fd int, b []byte) (n int, err error) {
	for {
		n, _, err = unix.Recvfrom(fd, b, unix.MSG_DONTWAIT)
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

func (s *Socket) checkDue(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.checked) < checkInterval {
		return false
	}
	s.checked = now
	return true
}

// checkInterface asks whether the index that the socket is bound to still has
// the name that the configuration gives. It asks through the socket, so that
// the answer is that of the socket's network namespace.
func (s *Socket) checkInterface() error {
	ifr, err := unix.NewIfreq(s.iface)
	if err != nil {
		return kernel.ErrNoInterface
	}
	var failed error
	if err := s.raw.Control(func(fd uintptr) { failed = unix.IoctlIfreq(int(fd), unix.SIOCGIFINDEX, ifr) }); err != nil {
		return net.ErrClosed
	}
	if failed != nil {
		return translate(failed)
	}
	if ifr.Uint32() != uint32(s.index) {
		return kernel.ErrNoInterface
	}
	return nil
}
