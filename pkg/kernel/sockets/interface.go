package sockets

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// SameInterface returns kernel.ErrNoInterface unless the interface with this name still has this index: it was renamed,
// deleted, or deleted and added again. The kernel does not notify a socket of that. The answer applies to the socket's
// network namespace, whichever the calling thread is in.
//
// Errors also: net.ErrClosed, and those of SIOCGIFINDEX in netdevice(7).
func SameInterface(c syscall.RawConn, name string, index int) error {
	ifr, err := ask(c, unix.SIOCGIFINDEX, name)
	if err == nil && ifr.Uint32() != uint32(index) {
		return kernel.ErrNoInterface
	}
	return err
}

// InterfaceFlags returns the flags of an interface, such as unix.IFF_NOARP, in the socket's network namespace.
//
// Errors: as SameInterface.
func InterfaceFlags(c syscall.RawConn, name string) (uint16, error) {
	ifr, err := ask(c, unix.SIOCGIFFLAGS, name)
	if err != nil {
		return 0, err
	}
	return ifr.Uint16(), nil
}

// ask returns what the kernel answers to a request about an interface. A name that is too long is that of no interface.
func ask(c syscall.RawConn, request uint, name string) (*unix.Ifreq, error) {
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return nil, kernel.ErrNoInterface
	}
	return ifr, Do(c, func(fd int) error { return unix.IoctlIfreq(fd, request, ifr) })
}
