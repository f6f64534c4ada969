package epoll

import "golang.org/x/sys/unix"

// New makes an epoll descriptor that tells when one of fds can be read.
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

// Add makes poll tell when fd can be read, too.
func Add(poll, fd int) error {
	return unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

// Wait is epoll_wait(2) that a signal of the Go runtime does not end: it
// returns how many events there are, 0 after that many milliseconds (-1 is no
// limit) or a signal.
func Wait(poll int, events []unix.EpollEvent, milliseconds int) (int, error) {
	count, err := unix.EpollWait(poll, events, milliseconds)
	if err == unix.EINTR {
		return 0, nil
	}
	return count, err
}
