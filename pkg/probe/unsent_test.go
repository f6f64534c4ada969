package probe

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
)

// TestUnsent: an error of the look-up of the route is about this director, also one that a connection has if the server
// is gone.
func TestUnsent(t *testing.T) {
	target := &Target{Address: netip.MustParseAddrPort("10.77.0.11:3306"), Kind: config.TCPCheck{}}
	call := func(e syscall.Errno) error { return fmt.Errorf("the route: %w", os.NewSyscallError("connect", e)) }
	for _, tt := range []struct {
		err   error
		code  health.Code
		cause string
	}{
		{call(syscall.ENETUNREACH), health.NoNetwork, "this director has no route there .*"},
		{call(syscall.EHOSTUNREACH), health.NoNetwork, "this director has an unreachable route there .*"},
		{call(syscall.EACCES), health.NoNetwork, "this director is not permitted to .*"},
		{call(syscall.EINVAL), health.NoNetwork, "this director has a blackhole route there .*"},
		{call(syscall.EMFILE), health.Local, "this director has too many open files .*"},
		{errors.New("source: no such interface"), health.NoNetwork, "source: no such interface"},
	} {
		check(t, Unsent(target, tt.err), tt.code, health.Unknown, `tcp: dial 10\.77\.0\.11:3306: `+tt.cause)
	}
}
