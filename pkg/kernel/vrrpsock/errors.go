package vrrpsock

import (
	"errors"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

var (
	// ErrNoInterface says that the interface does not exist, or no longer under
	// this name. The socket is of no use then; open another one when it is back.
	ErrNoInterface = errors.New("no such network interface (see: ip link)")
	// ErrNoMulticast says that the interface does not carry multicast.
	ErrNoMulticast = errors.New("the interface has no multicast: name the NIC that faces the other director")
	// ErrNotPermitted says that the process may not open a raw socket or set its
	// priority.
	ErrNotPermitted = errors.New("not permitted: needs CAP_NET_RAW and CAP_NET_ADMIN, run as root or grant them in the service unit")
	// ErrFiltered says that a packet filter of this host dropped an advert.
	ErrFiltered = errors.New("a packet filter of this host forbids it (allow IP protocol 112 to 224.0.0.18 in nftables or iptables)")
	// ErrNoSource says that an advert could not be sent from this source: it is
	// not an address of this host, or the interface is down.
	ErrNoSource = errors.New("the source is not an address of this host or the interface is down (see: ip addr)")
)

// translate turns what the kernel answers into the errors that callers branch on.
func translate(err error) error {
	var op *net.OpError
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return ErrNotPermitted
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return ErrNoInterface
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EADDRNOTAVAIL):
		return ErrNoSource
	case errors.Is(err, net.ErrClosed):
		return net.ErrClosed
	case errors.Is(err, os.ErrDeadlineExceeded):
		return os.ErrDeadlineExceeded
	case errors.As(err, &op) && op.Op == "route":
		// How net.InterfaceByName says that there is none; it has no sentinel for it.
		return ErrNoInterface
	}
	return err
}
