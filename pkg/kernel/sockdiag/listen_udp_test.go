package sockdiag

import (
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/kernel/internal/netnstest"
)

func TestUDP(t *testing.T) {
	h := netnstest.New(t)
	h.IP(t, "addr add 10.77.0.11/24 dev lo")
	h.Do(t, func() error {
		for _, l := range []struct{ network, address string }{{"udp4", "10.77.0.11:53"}, {"udp4", "0.0.0.0:54"}, {"udp", "[::]:55"}} {
			conn, err := net.ListenPacket(l.network, l.address)
			if err != nil {
				return err
			}
			defer conn.Close()
		}
		client, err := net.Dial("udp4", "10.77.0.11:53") // it receives packets of one peer only, and is not listed
		if err != nil {
			return err
		}
		defer client.Close()
		got, err := Listening("udp")
		if err != nil {
			return err
		}
		slices.SortFunc(got, netip.AddrPort.Compare)
		var want []netip.AddrPort
		for _, text := range []string{"0.0.0.0:54", "0.0.0.0:55", "10.77.0.11:53", "[::]:55"} {
			want = append(want, netip.MustParseAddrPort(text))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		return nil
	})
	if _, err := Listening("icmp"); err == nil {
		t.Error("sockets of ICMP are listed")
	}
}
