package rtnl

import (
	"errors"
	"fmt"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel/errno"
)

const (
	// Timeout bounds each exchange with the kernel, which normally takes microseconds but may wait for the rtnl lock, which
	// all interface changes share.
	Timeout = 2 * time.Second

	// dumpAttempts is how often a dump is tried when the kernel reports that the table changed while it was read.
	dumpAttempts = 5
)

// ErrTimeout: the kernel did not answer in time.
var ErrTimeout = errors.New("the kernel did not answer within " + Timeout.String())

// Open returns a socket of its own, whose requests take Timeout at most. It belongs to the network namespace of the calling
// thread. The caller must close it.
func Open() (*netlink.Handle, error) { return OpenWithin(Timeout) }

// OpenWithin is Open with another limit. Its requests return EAGAIN when they exceed it.
func OpenWithin(limit time.Duration) (*netlink.Handle, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err == nil {
		if err = h.SetSocketTimeout(limit); err != nil {
			h.Close()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open route netlink: %w", Translate(err))
	}
	return h, nil
}

// Dump reads a table, and reads it again if it changed meanwhile. netlink v1.3.1 then returns ErrDumpInterrupted together with
// data that may lack entries. Its errors are those of Translate.
func Dump[T any](read func() ([]T, error)) (all []T, err error) {
	for range dumpAttempts {
		if all, err = read(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	if err != nil {
		return nil, Translate(err)
	}
	return all, nil
}

// Translate returns ErrTimeout if err means that the kernel did not answer, and otherwise what errno.Translate returns for
// changes of the network, which need CAP_NET_ADMIN.
func Translate(err error) error {
	if errors.Is(err, unix.EAGAIN) {
		return ErrTimeout
	}
	return errno.Translate(err, "CAP_NET_ADMIN")
}
