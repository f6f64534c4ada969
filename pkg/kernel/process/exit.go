package process

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Exit is the wait for the end of one process.
type Exit struct{ file *os.File }

// AwaitExit calls ended, once and in a goroutine of its own, when the process has ended, unless Stop was called before.
//
// Errors: os.ErrProcessDone if there is no such process; errors.ErrUnsupported before Linux 5.3.
func AwaitExit(pid int, ended func()) (*Exit, error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.EINVAL) { // Linux before 5.10
		if fd, err = unix.PidfdOpen(pid, 0); err == nil {
			err = unix.SetNonblock(fd, true)
		}
	}
	switch {
	case errors.Is(err, unix.ESRCH):
		return nil, os.ErrProcessDone
	case errors.Is(err, unix.ENOSYS):
		return nil, errors.ErrUnsupported
	case err != nil:
		return nil, os.NewSyscallError("pidfd_open", err)
	}
	e := &Exit{file: os.NewFile(uintptr(fd), "pidfd")}
	raw, err := e.file.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, e.file.Close())
	}
	go func() {
		gone := false
		err := raw.Read(func(fd uintptr) bool {
			gone = exited(int(fd))
			return gone
		})
		_ = e.file.Close()
		if err == nil && gone {
			ended()
		}
	}()
	return e, nil
}

// exited reports whether the process of a pidfd has ended: then it is readable.
func exited(pidfd int) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, 0)
	return err == nil && n > 0
}

// Stop ends the wait. It returns at once; ended may be running, or begin if the process has ended already.
func (e *Exit) Stop() { _ = e.file.SetReadDeadline(time.Unix(1, 0)) }
