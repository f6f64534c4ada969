package vrrpsock

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// SetReadDeadline ends Read, also one that waits already, at time t with
// os.ErrDeadlineExceeded; the zero time removes the deadline.
func (s *Socket) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadline = t
	if err := s.conn.SetReadDeadline(t); err != nil {
		return fmt.Errorf("set read deadline on %s: %w", s.iface, translate(err))
	}
	return nil
}

// Read waits for a datagram until Close, the read deadline, or until the
// interface is gone or renamed, which it notices within half a second. An
// interface that is merely down keeps it waiting. The payload is the caller's.
//
// Errors: net.ErrClosed, os.ErrDeadlineExceeded, ErrNoInterface, and what else
// receiving answers.
func (s *Socket) Read() (Datagram, error) {
	for {
		d, err := s.readOnce()
		if err == nil {
			return d, nil
		}
		if err = translate(err); errors.Is(err, os.ErrDeadlineExceeded) && !s.expired() {
			continue
		}
		return Datagram{}, fmt.Errorf("read VRRP socket on %s: %w", s.iface, err)
	}
}

// ReadPending returns what is queued on the socket, oldest first, without
// waiting and whatever the read deadline is; nothing queued is no error. After
// a stall of its process the caller learns from it what the peers said meanwhile.
//
// Errors: net.ErrClosed, and what else receiving answers; what was read before
// the error is returned with it.
func (s *Socket) ReadPending() ([]Datagram, error) {
	var pending []Datagram
	for len(pending) < pendingLimit {
		var n int
		var failed error
		b := make([]byte, bufferSize)
		// Control instead of Read: it neither waits for a Read of another goroutine
		// nor gives up when the read deadline is over.
		err := s.raw.Control(func(fd uintptr) { n, failed = receive(int(fd), b) })
		if failed == unix.EAGAIN {
			return pending, nil
		}
		if err = errors.Join(err, failed); err != nil {
			return pending, fmt.Errorf("read VRRP socket on %s: %w", s.iface, translate(err))
		}
		pending = append(pending, parse(b[:n], s.iface))
	}
	return pending, nil
}

// readOnce waits for a datagram at most until the next look at the interface.
func (s *Socket) readOnce() (Datagram, error) {
	now := time.Now()
	if s.checkDue(now) {
		if err := s.checkInterface(); err != nil {
			return Datagram{}, err
		}
	}
	if err := s.limitWait(now.Add(checkInterval)); err != nil {
		return Datagram{}, err
	}
	var n int
	var failed error
	b := make([]byte, bufferSize)
	err := s.raw.Read(func(fd uintptr) bool {
		n, failed = receive(int(fd), b)
		return failed != unix.EAGAIN
	})
	if err = errors.Join(err, failed); err != nil {
		return Datagram{}, err
	}
	return parse(b[:n], s.iface), nil
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

// limitWait makes the next read end at until, or earlier at the caller's deadline.
func (s *Socket) limitWait(until time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.deadline.IsZero() && s.deadline.Before(until) {
		until = s.deadline
	}
	return s.conn.SetReadDeadline(until)
}

func (s *Socket) expired() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.deadline.IsZero() && !time.Now().Before(s.deadline)
}

// checkInterface asks whether the index that the socket is bound to still has
// the name that the configuration gives. It asks through the socket, so that
// the answer is that of the socket's network namespace.
func (s *Socket) checkInterface() error {
	ifr, err := unix.NewIfreq(s.iface)
	if err != nil {
		return ErrNoInterface
	}
	var failed error
	if err := s.raw.Control(func(fd uintptr) { failed = unix.IoctlIfreq(int(fd), unix.SIOCGIFINDEX, ifr) }); err != nil {
		return net.ErrClosed
	}
	if failed != nil {
		return translate(failed)
	}
	if ifr.Uint32() != uint32(s.index) {
		return ErrNoInterface
	}
	return nil
}
