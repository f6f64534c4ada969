package vrrpsock

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// Pending returns the datagrams queued on the socket, oldest first, without blocking; an empty queue is not an error.
// The content is not checked; a payload longer than any advert is truncated somewhere beyond that length. The datagrams and
// their payloads are valid until the next call; only one goroutine at a time may call Pending and use them. After a stall
// of its process the caller gets the adverts that the peers sent in the meantime.
//
// Errors: net.ErrClosed, and other errors of recvmsg(2); the datagrams read before the error are returned with it.
func (s *Socket) Pending() ([]vrrp.Datagram, error) {
	buffer := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buffer)
	s.batch.reset()
	var failed error
	// Control instead of Read: it does not block on a Wait in another goroutine, and the read deadline does not apply.
	err := s.raw.Control(func(fd uintptr) {
		for failed == nil && len(s.batch.datagrams) < pendingLimit {
			var d vrrp.Datagram
			if d, failed = s.receive(int(fd), buffer[:]); failed == nil {
				s.batch.add(d)
			}
		}
	})
	if failed == unix.EAGAIN {
		failed = nil
	}
	if err = errors.Join(err, failed); err != nil {
		return s.batch.datagrams, fmt.Errorf("read VRRP socket on %s: %w", s.iface, translate(err))
	}
	return s.batch.datagrams, nil
}

// buffers are used for one call of Pending each: a buffer for each advert would be most of a director's garbage.
var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// batch is what a call of Pending returns, in memory that the next one uses again.
type batch struct {
	datagrams []vrrp.Datagram
	payloads  []byte // of all of them
}

// batchKept is how much memory for payloads is kept, in bytes: that for bursts of ordinary adverts.
const batchKept = 1 << 16

func (b *batch) reset() {
	b.datagrams, b.payloads = b.datagrams[:0], b.payloads[:0]
	if cap(b.payloads) > batchKept {
		b.datagrams, b.payloads = nil, nil
	}
}

// add copies a datagram, whose payload is in a buffer that is used for the next one. Payloads before stay where they are if
// the memory for payloads is replaced by a larger one.
func (b *batch) add(d vrrp.Datagram) {
	begin := len(b.payloads)
	b.payloads = append(b.payloads, d.Payload...)
	d.Payload = b.payloads[begin:len(b.payloads):len(b.payloads)]
	b.datagrams = append(b.datagrams, d)
}

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
