package vrrpsock

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Wait waits until Pending has something to return, and takes nothing. It returns after half a second at the latest,
// so that its caller can show that it lives; ready says whether there is a datagram.
//
// Errors: net.ErrClosed, kernel.ErrNoInterface, and what else receiving answers.
func (s *Socket) Wait() (ready bool, err error) {
	now := time.Now()
	if s.checkDue(now) {
		if err := s.checkInterface(); err != nil {
			return false, fmt.Errorf("wait for the VRRP socket on %s: %w", s.iface, translate(err))
		}
	}
	err = s.conn.SetReadDeadline(now.Add(checkInterval))
	var failed error
	if err == nil {
		err = s.raw.Read(func(fd uintptr) bool {
			failed = peek(int(fd))
			return failed != unix.EAGAIN
		})
	}
	switch err = translate(errors.Join(err, failed)); {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("wait for the VRRP socket on %s: %w", s.iface, err)
	}
	return true, nil
}

// peek asks whether there is a datagram. One byte of room is enough; an empty buffer would do, but a nil error for one is
// not worth relying on.
func peek(fd int) (err error) {
	var b [1]byte
	for {
		_, _, err = unix.Recvfrom(fd, b[:], unix.MSG_DONTWAIT|unix.MSG_PEEK)
		if err != unix.EINTR {
			return err
		}
	}
}
