package addr

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/errno"
)

// ErrTimeout: the kernel did not answer in time.
var ErrTimeout = errors.New("the kernel did not answer within " + requestTimeout.String())

const (
	// requestTimeout bounds each exchange with the kernel, which normally takes microseconds but may wait for the rtnl
	// lock, which all interface changes share.
	requestTimeout = 2 * time.Second

	// dumpAttempts is how often a dump is tried when the kernel reports that the table changed while it was read.
	dumpAttempts = 5
)

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
	rt, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open route netlink: %w", translate(err))
	}
	if err := rt.SetSocketTimeout(requestTimeout); err != nil {
		rt.Close()
		return nil, fmt.Errorf("open route netlink: %w", translate(err))
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

// translate maps netlink errors to the errors that callers branch on.
func translate(err error) error {
	if errors.Is(err, unix.EAGAIN) {
		return ErrTimeout
	}
	return errno.Translate(err, "CAP_NET_ADMIN")
}

// dump reads a kernel table, and reads it again if it changed meanwhile. netlink v1.3.1 then returns ErrDumpInterrupted
// together with data that may lack entries.
func dump[T any](read func() ([]T, error)) ([]T, error) {
	var all []T
	var err error
	for range dumpAttempts {
		all, err = read()
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	if err != nil {
		return nil, translate(err)
	}
	return all, nil
}
