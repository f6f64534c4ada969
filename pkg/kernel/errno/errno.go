package errno

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// Translate returns kernel.ErrNotPermitted (with needs, the missing capabilities: "CAP_NET_RAW"), kernel.ErrNoInterface,
// net.ErrClosed or os.ErrDeadlineExceeded if err means that, without the details around it, and any other error unchanged.
func Translate(err error, needs string) error {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w: needs %s, run as root, or grant this in the service unit", kernel.ErrNotPermitted, needs)
	case noInterface(err):
		return kernel.ErrNoInterface
	case errors.Is(err, net.ErrClosed):
		return net.ErrClosed
	case errors.Is(err, os.ErrDeadlineExceeded):
		return os.ErrDeadlineExceeded
	}
	return err
}

func noInterface(err error) bool {
	var link netlink.LinkNotFoundError
	var op *net.OpError
	return errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO) || errors.As(err, &link) ||
		errors.As(err, &op) && op.Op == "route" // of net.InterfaceByName for a missing one; it has no sentinel
}
