package sockdiag

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel/internal/netnstest"
)

func TestTCP(t *testing.T) {
	h := netnstest.New(t)
	h.IP(t, "addr add 10.77.0.11/24 dev lo")
	h.Do(t, func() error {
		if all, err := Listening("tcp"); err != nil || len(all) != 0 {
			t.Errorf("in a new namespace: %v, %v", all, err)
		}
		both := net.ListenConfig{}
		only := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
			return c.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1) })
		}}
		for _, l := range []struct {
			net.ListenConfig
			network, address string
		}{
			{both, "tcp4", "10.77.0.11:3306"}, {both, "tcp4", "0.0.0.0:3307"}, {both, "tcp", "[::]:3308"}, {only, "tcp6", "[::]:3309"}, {both, "tcp6", "[::1]:3310"},
		} {
			listener, err := l.Listen(context.Background(), l.network, l.address)
			if err != nil {
				return err
			}
			defer listener.Close()
			if l.address == "10.77.0.11:3306" { // a connection is not listed
				conn, err := net.Dial(l.network, l.address)
				if err != nil {
					return err
				}
				defer conn.Close()
			}
		}
		got, err := Listening("tcp")
		if err != nil {
			return err
		}
		slices.SortFunc(got, netip.AddrPort.Compare)
		want := []netip.AddrPort{}
		for _, text := range []string{"0.0.0.0:3307", "0.0.0.0:3308", "10.77.0.11:3306", "[::]:3308", "[::]:3309", "[::1]:3310"} {
			want = append(want, netip.MustParseAddrPort(text))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		return nil
	})
}
