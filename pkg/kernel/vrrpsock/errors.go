package vrrpsock

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel/errno"
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
	// ErrFiltered means that a packet filter of this host dropped an advert.
	ErrFiltered = errors.New("a packet filter of this host forbids it (allow IP protocol 112 in the output of nftables or iptables)")
	// ErrNoSource means that an advert could not be sent from this source: it is not an address of this host, or the
	// interface is down.
	ErrNoSource = errors.New("the source is not an address of this host or the interface is down (see: ip addr)")
)

// translate maps the kernel's errors to the errors that callers check for.
func translate(err error) error {
	switch {
	case errors.Is(err, unix.EAFNOSUPPORT):
		return ErrNoIPv6
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EADDRNOTAVAIL):
		return ErrNoSource
	}
	return errno.Translate(err, "CAP_NET_RAW and CAP_NET_ADMIN")
}
