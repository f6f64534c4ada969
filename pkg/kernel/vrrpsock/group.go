package vrrpsock

import (
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel/sockets"
)

// Join makes the socket a member of these multicast groups, which are of its family, and of no others. After an error it
// may be a member of some of them; calling Join again is safe. It may wait for the kernel's lock of network interfaces.
//
// Errors: ErrNoMulticast, ErrNoIPv6, kernel.ErrNoInterface, net.ErrClosed, and other errors of setsockopt(2).
func (s *Socket) Join(groups []netip.Addr) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.joinLocked(groups); err != nil {
		return fmt.Errorf("join multicast groups on %s: %w", s.iface, translate(err))
	}
	return nil
}

func (s *Socket) joinLocked(groups []netip.Addr) error {
	for _, old := range slices.Clone(s.groups) {
		if !slices.Contains(groups, old) {
			_ = s.onAll(func(fd int) error { return s.leave(fd, s.index, old) }) // an interface that is gone has no members
			s.groups = slices.DeleteFunc(s.groups, func(g netip.Addr) bool { return g == old })
		}
	}
	for _, group := range groups {
		if slices.Contains(s.groups, group) {
			continue
		}
		if err := s.canMulticast(); err != nil {
			return err
		}
		if err := s.onAll(func(fd int) error { return s.join(fd, s.index, group) }); err != nil {
			_ = s.onAll(func(fd int) error { return s.leave(fd, s.index, group) })
			return err
		}
		s.groups = append(s.groups, group)
	}
	return nil
}

// canMulticast checks the flag of the interface. The kernel itself lets a socket join on any interface.
func (s *Socket) canMulticast() error {
	flags, err := sockets.InterfaceFlags(s.raw, s.iface)
	if err == nil && flags&unix.IFF_MULTICAST == 0 {
		return ErrNoMulticast
	}
	return err
}

// onAll calls f for the descriptors of the socket, of the one that receives what its filter excludes, and of that of Rest.
func (s *Socket) onAll(f func(fd int) error) error {
	err := sockets.Do(s.raw, f)
	if err == nil && s.others.fd != 0 {
		err = f(s.others.fd)
	}
	if err == nil && s.resting.fd != 0 {
		err = f(s.resting.fd)
	}
	return err
}
