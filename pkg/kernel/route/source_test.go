package route

import (
	"errors"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel/internal/netnstest"
)

func TestSource(t *testing.T) {
	h := netnstest.New(t)
	ip := func(arguments string) { h.IP(t, "%s", arguments) }
	for _, pair := range []string{"eth0", "eth1"} {
		ip("link add " + pair + " type veth peer name far-" + pair)
		ip("link set " + pair + " up")
		ip("link set far-" + pair + " up")
	}
	ip("addr add 10.77.0.2/24 dev eth0")
	ip("addr add 10.79.0.2/24 dev eth1")
	ip("addr add fd00:79::2/64 dev eth1 nodad")
	for _, s := range []struct {
		setUp, target, source string
		err                   error
	}{
		{"", "10.77.0.11:1", "10.77.0.2", nil},
		{"", "10.79.0.11:1", "10.79.0.2", nil},
		{"", "[fd00:79::11]:1", "fd00:79::2", nil},
		{"", "10.80.0.11:1", "", unix.ENETUNREACH},
		{"", "[fd00:80::11]:1", "", unix.ENETUNREACH},
		{"route add 10.80.0.0/24 via 10.79.0.254", "10.80.0.11:1", "10.79.0.2", nil},
		{"route add 10.77.0.200 via 10.79.0.254", "10.77.0.200:1", "10.79.0.2", nil}, // more specific than the network
		{"addr add 10.77.0.100/32 dev eth0", "10.77.0.11:1", "10.77.0.2", nil},
		{"route replace 10.77.0.0/24 dev eth0 src 10.77.0.100", "10.77.0.11:1", "10.77.0.100", nil},
		{"route add prohibit 10.81.0.0/24", "10.81.0.11:1", "", unix.EACCES},
		{"route add blackhole 10.82.0.0/24", "10.82.0.11:1", "", unix.EINVAL},
		{"route add unreachable 10.83.0.0/24", "10.83.0.11:1", "", unix.EHOSTUNREACH},
		{"link set eth1 down", "10.79.0.11:1", "", unix.ENETUNREACH},
	} {
		if s.setUp != "" {
			ip(s.setUp)
		}
		got, err := in(h, Source, netip.MustParseAddrPort(s.target))
		if s.err != nil && !errors.Is(err, s.err) || s.err == nil && (err != nil || got.String() != s.source) {
			t.Errorf("%s: to %s from %s, %v; want %s, %v", s.setUp, s.target, got, err, s.source, s.err)
		}
	}
}
