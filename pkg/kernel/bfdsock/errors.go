package bfdsock

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel/errno"
)

var (
	// ErrInUse means that another program has the port.
	ErrInUse = errors.New("another BFD daemon of this host has UDP port 3784 (see: ss -lunp sport = 3784): stop it, or remove bfd from the cluster file")
	// ErrRefused means that no program of the neighbour listens on port 3784.
	ErrRefused = errors.New("the neighbour answers that nothing listens on its UDP port 3784: start BFD there")
	// ErrUnreachable means that the neighbour does not answer ARP or neighbour discovery.
	ErrUnreachable = errors.New("the neighbour does not answer ARP: is it up and on this link?")
	// ErrNoSource means that the local address is not an address of this host, or that the interface is down.
	ErrNoSource = errors.New("the source is not an address of this host or the interface is down (see: ip addr)")
	// ErrFiltered means that a packet filter of this host dropped a packet.
	ErrFiltered = errors.New("a packet filter of this host forbids it (allow UDP port 3784 in nftables or iptables)")
)

// translate maps the kernel's errors to the errors that callers check for.
func translate(err error) error {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return ErrInUse
	case errors.Is(err, unix.ECONNREFUSED):
		return ErrRefused
	case errors.Is(err, unix.EHOSTUNREACH):
		return ErrUnreachable
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EADDRNOTAVAIL):
		return ErrNoSource
	}
	return errno.Translate(err, "CAP_NET_RAW and CAP_NET_ADMIN")
}
