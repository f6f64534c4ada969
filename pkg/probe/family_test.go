package probe

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/health"
)

// TestIPv6: a probe uses its source in both families, and a source of the wrong family gives an Unknown result.
func TestIPv6(t *testing.T) {
	ownNetwork(t, "addr add fd00::5/128 dev lo nodad")
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	open := l.Addr().(*net.TCPAddr).AddrPort()
	for _, source := range []string{"::1", "fd00::5"} {
		own := netip.MustParseAddr(source)
		check(t, TCP(within(t, 5*time.Second), &Target{Address: open, Source: own}), health.OK, health.Good, `tcp: connected in .*`)
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if got := conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr(); got != own {
			t.Errorf("the probe came from %s, want %s", got, own)
		}
		_ = conn.Close()
	}
	for _, tt := range []struct {
		target, source string
		code           health.Code
		cause          string
	}{
		{open.String(), "127.0.0.1", health.Local, `the source address is not of the target's family`},
		{"127.0.0.1:1", "fd00::5", health.Local, `the source address is not of the target's family`},
		{open.String(), "fd00::6", health.NoNetwork, `this director cannot use its source address.*`}, // not ours
	} {
		target := &Target{Address: netip.MustParseAddrPort(tt.target), Source: netip.MustParseAddr(tt.source)}
		check(t, TCP(within(t, 5*time.Second), target), tt.code, health.Unknown, `tcp: dial .*: `+tt.cause)
	}
}
