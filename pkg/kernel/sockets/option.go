package sockets

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Option is an option of a socket with a number as its value.
type Option struct {
	Name            string // for errors: "IP_TTL"
	Level, Opt, Val int
}

// Set sets options in order, and stops at the first one that the kernel refuses.
func Set(fd int, options ...Option) error {
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.Level, o.Opt, o.Val); err != nil {
			return os.NewSyscallError("setsockopt "+o.Name, err)
		}
	}
	return nil
}

// Bind makes a socket send and receive on one interface only (SO_BINDTODEVICE in socket(7)).
func Bind(fd int, iface string) error {
	return os.NewSyscallError("setsockopt SO_BINDTODEVICE", unix.SetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE, iface))
}

// Filter sets the packet filter of a socket, a classic BPF program (Documentation/networking/filter.rst). It replaces any
// previous one.
func Filter(fd int, program []unix.SockFilter) error {
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: unsafe.SliceData(program)}
	return os.NewSyscallError("setsockopt SO_ATTACH_FILTER", unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog))
}

// Control makes a function of a file descriptor a Control of net.ListenConfig and net.Dialer.
func Control(f func(fd int) error) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error { return Do(c, f) }
}

// Do calls a function with the descriptor of a connection, and returns its error, or net.ErrClosed if the connection is
// closed. It waits for no other user of the connection.
func Do(c syscall.RawConn, f func(fd int) error) error {
	var failed error
	if err := c.Control(func(fd uintptr) { failed = f(int(fd)) }); err != nil {
		return err
	}
	return failed
}
