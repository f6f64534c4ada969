package vrrpsock

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
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
	m := takeMessages()
	defer keepMessages(m)
	s.batch.reset()
	s.readSecond(m)
	later := len(s.batch.datagrams)
	var failed error
	// Control instead of Read: it does not block on a Wait in another goroutine, and the read deadline does not apply.
	err := s.raw.Control(func(fd uintptr) { failed = s.readAll(m, int(fd)) })
	s.batch.age(later)
	if err = errors.Join(err, failed); err != nil {
		return s.batch.datagrams, fmt.Errorf("read VRRP socket on %s: %w", s.iface, translate(err))
	}
	return s.batch.datagrams, nil
}

// readAll reads the datagrams queued on one of the sockets.
func (s *Socket) readAll(m *messages, fd int) error {
	for n := readAtOnce; n == readAtOnce && len(s.batch.datagrams) < pendingLimit; {
		var err error
		switch n, err = m.read(fd); err {
		case nil:
		case unix.EAGAIN:
			return nil
		default:
			return err
		}
		for i := range n {
			s.batch.add(m.datagram(i, s.wire))
		}
	}
	return nil
}

// readSecond reads those that have been kept back by Rest. If that socket is broken, so is the first one, which says it.
func (s *Socket) readSecond(m *messages) {
	s.resting.reading.Lock()
	defer s.resting.reading.Unlock()
	if s.resting.fd != 0 {
		_ = s.readAll(m, s.resting.fd)
	}
}

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

// age turns the times of arrival into ages, and sorts the datagrams if there are some from each of two sockets; first is the number
// of those from the first one.
func (b *batch) age(first int) {
	if first > 0 && len(b.datagrams) > first {
		slices.SortStableFunc(b.datagrams, func(x, y vrrp.Datagram) int { return cmp.Compare(x.Age, y.Age) })
	}
	now := time.Duration(time.Now().UnixNano())
	for i := range b.datagrams {
		if d := &b.datagrams[i]; d.Age > 0 {
			d.Age = max(now-d.Age, 0)
		}
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
