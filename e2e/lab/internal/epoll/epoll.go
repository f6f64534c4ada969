package epoll

import "golang.org/x/sys/unix"

// New returns an epoll descriptor that reports when one of fds is readable.
func New(fds ...int) (int, error) {
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return -1, err
	}
	for _, fd := range fds {
		if err := Add(poll, fd); err != nil {
			return -1, err
		}
	}
	return poll, nil
}

// Add adds fd to the descriptors that poll reports on.
func Add(poll, fd int) error {
	return unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

// Wait is epoll_wait(2) without EINTR: it returns the number of events, or 0 after the given milliseconds (-1 = no
// limit) or after a signal, which the Go runtime uses.
func Wait(poll int, events []unix.EpollEvent, milliseconds int) (int, error) {
	count, err := unix.EpollWait(poll, events, milliseconds)
	if err == unix.EINTR {
		return 0, nil
	}
	return count, err
}
