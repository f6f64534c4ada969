package vrrpsock

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel/sockets"
)

// Wait blocks until a datagram is queued and reads nothing. It returns after a second at the latest, so that its caller
// can send a heartbeat; ready says whether a datagram is queued, or an error that the next Pending returns.
//
// Errors: net.ErrClosed, kernel.ErrNoInterface, and other errors of recvfrom(2).
func (s *Socket) Wait() (ready bool, err error) {
	now := time.Now()
	if err := s.getUp(); err != nil {
		return false, fmt.Errorf("wait for the VRRP socket on %s: %w", s.iface, translate(err))
	}
	if s.checkDue(now) {
		if err := sockets.SameInterface(s.raw, s.iface, s.index); err != nil {
			return false, fmt.Errorf("wait for the VRRP socket on %s: %w", s.iface, translate(err))
		}
	}
	if left := s.until.Sub(now); left <= 0 || left > waitAtMost { // it is not set again for each datagram
		s.until = now.Add(waitAtMost - time.Duration(now.UnixNano())%waitAtMost) // loops that wake up together cost less
		err = s.conn.SetReadDeadline(s.until)
	}
	if err == nil {
		err = s.awaitPacket()
	}
	switch err = translate(err); {
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.until = time.Time{} // it may have been that of Wake
		return false, nil
	case err != nil:
		return false, fmt.Errorf("wait for the VRRP socket on %s: %w", s.iface, err)
	}
	return true, nil
}

// awaitPacket blocks until a datagram is queued, or the read deadline has passed.
func (s *Socket) awaitPacket() error {
	var failed error
	waited := false
	err := s.raw.Read(func(fd uintptr) bool {
		if waited { // a second look would cost as much as Pending, which finds out
			return true
		}
		failed = peek(int(fd))
		waited = failed == unix.EAGAIN
		return !waited
	})
	if waited {
		failed = nil
	}
	return errors.Join(err, failed)
}

// peek returns nil if a datagram is queued. It reads one byte: an empty buffer works as well, but a nil error for a
// zero-length read is not worth relying on.
func peek(fd int) (err error) {
	var b [1]byte
	for {
		_, _, err = syscall.Recvfrom(fd, b[:], unix.MSG_DONTWAIT|unix.MSG_PEEK)
		if err != unix.EINTR {
			return err
		}
	}
}
