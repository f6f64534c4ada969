package sockets

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Conn is what Write needs of a connection.
type Conn interface {
	SetWriteDeadline(t time.Time) error
}

// Write calls send, which must not block, again whenever there is room in the socket's buffer, until it returns something
// else than EAGAIN or EINTR, for at most a time. The first attempt has no deadline: a deadline that expired while this
// process was stalled would prevent an overdue packet from being sent. send returns the bare errno.
//
// Errors: the last one of send, net.ErrClosed, os.ErrDeadlineExceeded.
func Write(c Conn, raw syscall.RawConn, within time.Duration, send func(fd int) error) error {
	var failed error
	try := func(fd uintptr) bool {
		failed = send(int(fd))
		return failed != unix.EAGAIN && failed != unix.EINTR
	}
	done := false
	err := raw.Control(func(fd uintptr) { done = try(fd) })
	if err == nil && !done {
		if err = c.SetWriteDeadline(time.Now().Add(within)); err == nil {
			err = raw.Write(try)
		}
	}
	if err != nil {
		return err
	}
	return failed
}
