package neigh

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// pollFor bounds one wait for an answer, after which the context is looked at.
const pollFor = 100 * time.Millisecond

// Resolve asks for the hardware address of a neighbour, by an ARP request (RFC 826) or a neighbour solicitation (RFC
// 4861) from source, and waits for the answer until ctx ends. It does not use the kernel's neighbour table, in which a
// neighbour that is gone remains for some time. source is an address of the interface, of the family of target.
//
// Errors: those of ctx, of Open and of Announce.
func Resolve(ctx context.Context, iface string, source, target netip.Addr) (string, error) {
	hardware, err := resolve(ctx, iface, source, target.Unmap())
	if err != nil {
		return "", fmt.Errorf("ask for %s on %s: %w", target, iface, err)
	}
	return hardware, nil
}

func resolve(ctx context.Context, iface string, source, target netip.Addr) (string, error) {
	if !target.IsValid() || !source.IsValid() || source.Unmap().BitLen() != target.BitLen() {
		return "", ErrNoAddress
	}
	a, err := open(iface)
	if err != nil {
		return "", err
	}
	defer a.Close()
	l, err := listen(iface, kernel.FamilyOf(target))
	if err != nil {
		return "", translate(err)
	}
	defer l.Close()
	if _, err := l.Claims([]netip.Addr{target}); err != nil {
		return "", err
	}
	err = a.sendAll(target, func(own mac, target netip.Addr) ([][]byte, error) {
		if target.Is6() {
			f := solicitation(own, source, target)
			return [][]byte{f[:]}, nil
		}
		f := inquiry(own, source.Unmap(), target)
		return [][]byte{f[:]}, nil
	})
	for err == nil {
		claims, failed := l.Claims([]netip.Addr{target})
		if len(claims) > 0 {
			return claims[0].HardwareAddr, nil
		}
		if err = failed; err == nil {
			err = await(ctx, l.fd)
		}
	}
	return "", err
}

// await waits for a packet, for pollFor at most. The error is that of ctx if it has ended.
func await(ctx context.Context, fd int) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	limit := pollFor
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, max(time.Until(deadline), time.Millisecond))
	}
	_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(limit.Milliseconds()))
	if err != nil && err != unix.EINTR {
		return os.NewSyscallError("poll", err)
	}
	return nil
}
