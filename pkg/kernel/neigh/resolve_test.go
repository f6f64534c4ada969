package neigh

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"
)

// TestResolve: a neighbour that has the address answers, without use of the neighbour table; one that is gone does not,
// even while it is in the table.
func TestResolve(t *testing.T) {
	const peerMAC = "02:00:00:00:00:03"
	own, peer := neighbours6(t)
	peer.IP(t, "link set eth0 address %s", peerMAC)
	for _, one := range []struct{ source, target netip.Addr }{
		{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")},
		{netip.MustParseAddr("2001:db8:7::1"), netip.MustParseAddr("2001:db8:7::2")},
	} {
		bits := one.source.BitLen() / 4 * 3
		own.IP(t, "addr add %s/%d dev eth0 nodad", one.source, bits)
		peer.IP(t, "addr add %s/%d dev eth0 nodad", one.target, bits)
		resolve := func(limit time.Duration) (hardware string, err error) {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			own.Do(t, func() error {
				hardware, err = Resolve(ctx, "eth0", one.source, one.target)
				return nil
			})
			return hardware, err
		}
		if got, err := resolve(time.Minute); got != peerMAC || err != nil {
			t.Errorf("%s: %s, %v", one.target, got, err)
		}
		peer.IP(t, "addr del %s/%d dev eth0", one.target, bits)
		own.IP(t, "neigh replace %s lladdr %s dev eth0 nud permanent", one.target, peerMAC)
		if got, err := resolve(50 * time.Millisecond); got != "" || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s is gone: %s, %v", one.target, got, err)
		}
	}
	own.Do(t, func() error {
		if _, err := Resolve(t.Context(), "eth0", netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8:7::2")); !errors.Is(err, ErrNoAddress) {
			t.Errorf("other families: %v", err)
		}
		return nil
	})
}
