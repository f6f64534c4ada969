package vrrpsock

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// Pending returns the datagrams queued on the socket, oldest first, without blocking; an empty queue is not an error.
// The content is not checked; a payload longer than any advert is truncated somewhere beyond that length. The caller
// owns the payloads. After a stall of its process the caller gets the adverts that the peers sent in the meantime.
//
// Errors: net.ErrClosed, and other errors of recvmsg(2); the datagrams read before the error are returned with it.
func (s *Socket) Pending() ([]vrrp.Datagram, error) {
	var pending []vrrp.Datagram
	buffer := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buffer)
	b := buffer[:]
	for len(pending) < pendingLimit {
		var d vrrp.Datagram
		var failed error
		// Control instead of Read: it does not block on a Wait in another goroutine, and the read deadline does not
		// apply.
		err := s.raw.Control(func(fd uintptr) { d, failed = s.receive(int(fd), b) })
		if failed == unix.EAGAIN {
			return pending, nil
		}
		if err = errors.Join(err, failed); err != nil {
			return pending, fmt.Errorf("read VRRP socket on %s: %w", s.iface, translate(err))
		}
		pending = append(pending, ownPayload(d))
	}
	return pending, nil
}

// buffers are used for one call of Pending each: a buffer for each advert would be most of a director's garbage.
var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// ownPayload copies the payload out of a buffer that is reused.
func ownPayload(d vrrp.Datagram) vrrp.Datagram {
	d.Payload = bytes.Clone(d.Payload)
	return d
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

// checkInterface checks whether the interface index of the socket still has its configured name. It uses the socket for
// the query, which therefore applies to the socket's network namespace.
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
