package errno

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

func TestTranslate(t *testing.T) {
	_, missing := net.InterfaceByName("lvsnone0")
	for _, c := range []struct{ err, want error }{
		{unix.EPERM, kernel.ErrNotPermitted},
		{&os.SyscallError{Syscall: "socket", Err: unix.EACCES}, kernel.ErrNotPermitted},
		{unix.ENODEV, kernel.ErrNoInterface},
		{&net.OpError{Op: "write", Err: unix.ENXIO}, kernel.ErrNoInterface},
		{missing, kernel.ErrNoInterface},
		{netlink.LinkNotFoundError{}, kernel.ErrNoInterface},
		{&net.OpError{Op: "read", Err: net.ErrClosed}, net.ErrClosed},
		{&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, os.ErrDeadlineExceeded},
		{fmt.Errorf("send: %w", unix.ENOBUFS), unix.ENOBUFS},
	} {
		if got := Translate(c.err, "CAP_NET_RAW"); !errors.Is(got, c.want) {
			t.Errorf("%v: got %v, want %v", c.err, got, c.want)
		}
	}
	if got := Translate(unix.EPERM, "CAP_NET_RAW").Error(); !strings.Contains(got, "needs CAP_NET_RAW,") {
		t.Errorf("the capability is not named: %q", got)
	}
	other := errors.New("other")
	if got := Translate(other, ""); got != other {
		t.Errorf("another error: got %v", got)
	}
	if got := Translate(nil, ""); got != nil {
		t.Errorf("no error: got %v", got)
	}
}
