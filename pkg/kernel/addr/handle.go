package addr

import (
	"fmt"
	"os"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/rtnl"
)

// ErrTimeout: the kernel did not answer in time.
var ErrTimeout = rtnl.ErrTimeout

// Handle is a separate netlink socket, so that changes of VIPs never wait for another user of netlink. It belongs to
// the network namespace of the thread that opened it and may be used by several goroutines.
type Handle struct {
	rt *netlink.Handle
	fd int // a socket for requests about names of interfaces

	mu    sync.Mutex
	where map[kernel.IfAddr]int // the index of the interface that an address was put on, by the name that it had then
}

// Open opens a handle. The caller closes it.
func Open() (*Handle, error) {
	rt, err := rtnl.Open()
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		rt.Close()
		return nil, fmt.Errorf("open route netlink: %w", os.NewSyscallError("socket", err))
	}
	return &Handle{rt: rt, fd: fd, where: map[kernel.IfAddr]int{}}, nil
}

// Close releases the sockets. The handle must not be used afterwards.
func (h *Handle) Close() error {
	h.rt.Close()
	return os.NewSyscallError("close", unix.Close(h.fd))
}
