package vrrpsock

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

var (
	// ErrNoMulticast means that the interface does not support multicast.
	ErrNoMulticast = errors.New("the interface has no multicast: name the NIC that faces the other director")
	// ErrNoFamily means that the segment has no address family.
	ErrNoFamily = errors.New("neither IPv4 nor IPv6")
	// ErrNoIPv6 means that the kernel does not do IPv6 on the interface.
	ErrNoIPv6 = errors.New("the kernel has no IPv6 on the interface: its MTU must be at least 1280, and IPv6 not be disabled on the kernel's command line")
	// ErrNoDestination means that an advert cannot be sent to an address: it is of the other family, or unspecified.
	ErrNoDestination = errors.New("no advert can be sent to this address: name a group or the address of a router, of the family of the source")
	// errNotPermitted means that the process may not open a raw socket or set its priority.
	errNotPermitted = fmt.Errorf("%w: needs CAP_NET_RAW and CAP_NET_ADMIN, run as root or grant them in the service unit", kernel.ErrNotPermitted)
	// ErrFiltered means that a packet filter of this host dropped an advert.
	ErrFiltered = errors.New("a packet filter of this host forbids it (allow IP protocol 112 in the output of nftables or iptables)")
	// ErrNoSource means that an advert could not be sent from this source: it is not an address of this host, or the
	// interface is down.
	ErrNoSource = errors.New("the source is not an address of this host or the interface is down (see: ip addr)")
)

// translate maps the kernel's errors to the errors that callers check for.
func translate(err error) error {
	var op *net.OpError
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return errNotPermitted
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return kernel.ErrNoInterface
	case errors.Is(err, unix.EAFNOSUPPORT):
		return ErrNoIPv6
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EADDRNOTAVAIL):
		return ErrNoSource
	case errors.Is(err, net.ErrClosed):
		return net.ErrClosed
	case errors.Is(err, os.ErrDeadlineExceeded):
		return os.ErrDeadlineExceeded
	case errors.As(err, &op) && op.Op == "route":
		// The error of net.InterfaceByName for a missing interface, for which it has no sentinel.
		return kernel.ErrNoInterface
	}
	return err
}
