package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/pkg/health"
)

// closedPort is an address of this machine on which nothing listens. A socket keeps the port until the end of the test, so that no
// server of another one gets it.
func closedPort(t *testing.T) netip.AddrPort {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	at := name.(*syscall.SockaddrInet4)
	return netip.AddrPortFrom(netip.AddrFrom4(at.Addr), uint16(at.Port))
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// fullBacklog is a listener that does not accept and whose queue is full, so that the kernel drops further SYNs.
func fullBacklog(t *testing.T) netip.AddrPort {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := errors.Join(
		syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}),
		syscall.Listen(fd, 0),
	); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(name.(*syscall.SockaddrInet4).Port))
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address.String())
		cancel()
		if err == nil {
			t.Cleanup(func() { _ = conn.Close() })
		}
	}
	return address
}

// check compares a result with the expected one; cause is a regular expression for the whole cause.
func check(t *testing.T, got Result, code health.Code, class health.Class, cause string) {
	t.Helper()
	if got.Code != code || got.Class != class {
		t.Errorf("got %s/%s (%s), want %s/%s", got.Code, got.Class, got.Cause, code, class)
	}
	if !regexp.MustCompile("^" + cause + "$").MatchString(got.Cause) {
		t.Errorf("cause %q, want %q", got.Cause, cause)
	}
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestTCP(t *testing.T) {
	l := listen(t)
	open := l.Addr().(*net.TCPAddr).AddrPort()

	t.Run("open", func(t *testing.T) {
		got := TCP(within(t, 5*time.Second), &Target{Address: open})
		check(t, got, health.OK, health.Good, `tcp: connected in [0-9.]+(µs|ms|s)`)
		if got.Took <= 0 {
			t.Errorf("took %v", got.Took)
		}
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if n, err := conn.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("the server read %d bytes and %v, want an orderly end (FIN)", n, err)
		}
	})
	t.Run("source", func(t *testing.T) {
		source := netip.MustParseAddr("127.0.0.5")
		check(t, TCP(within(t, 5*time.Second), &Target{Address: open, Source: source}), health.OK, health.Good, `tcp: connected in .*`)
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if got := conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr(); got != source {
			t.Errorf("the probe came from %v, want %v", got, source)
		}
	})
	t.Run("source is not ours", func(t *testing.T) {
		got := TCP(within(t, 5*time.Second), &Target{Address: open, Source: netip.MustParseAddr("192.0.2.1")})
		check(t, got, health.NoNetwork, health.Unknown, `tcp: dial 127\.0\.0\.1:\d+: this director cannot use its source address.*`)
	})
	t.Run("refused", func(t *testing.T) {
		got := TCP(within(t, 5*time.Second), &Target{Address: closedPort(t)})
		check(t, got, health.Refused, health.Bad, `tcp: dial 127\.0\.0\.1:\d+: connection refused`)
	})
	t.Run("timeout", func(t *testing.T) {
		full, began := fullBacklog(t), time.Now() // before the deadline begins
		got := TCP(within(t, 120*time.Millisecond), &Target{Address: full})
		check(t, got, health.Timeout, health.Bad, `tcp: dial 127\.0\.0\.1:\d+: no answer within \d+ms`)
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("took %v", took)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		check(t, TCP(ctx, &Target{Address: open}), health.Local, health.Unknown, `tcp: dial 127\.0\.0\.1:\d+: the check was cancelled`)
	})
	t.Run("no address", func(t *testing.T) {
		check(t, TCP(within(t, time.Second), &Target{}), health.Local, health.Unknown, `tcp: dial invalid AddrPort: no address to check`)
	})
}

func TestClassify(t *testing.T) {
	wrap := func(e syscall.Errno) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", e)}
	}
	type verdict struct {
		Code  health.Code
		Class health.Class
	}
	bad := func(c health.Code) verdict { return verdict{c, health.Bad} }
	local, noNetwork := verdict{health.Local, health.Unknown}, verdict{health.NoNetwork, health.Unknown}
	call := func(name string, e syscall.Errno) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError(name, e)}
	}
	tests := []struct {
		err  error
		want verdict
	}{
		{wrap(syscall.ECONNREFUSED), bad(health.Refused)},
		{wrap(syscall.ECONNRESET), bad(health.Reset)},
		{wrap(syscall.EHOSTUNREACH), bad(health.Unreachable)},
		{wrap(syscall.ETIMEDOUT), bad(health.Timeout)},
		{context.DeadlineExceeded, bad(health.Timeout)},
		{os.ErrDeadlineExceeded, bad(health.Timeout)},
		{io.EOF, bad(health.Reset)},
		{wrap(syscall.ENETUNREACH), noNetwork},
		{wrap(syscall.ENETDOWN), noNetwork},
		{wrap(syscall.EPERM), noNetwork},
		{wrap(syscall.EACCES), noNetwork},
		{wrap(syscall.EINVAL), noNetwork}, // a blackhole route
		{call("bind", syscall.EINVAL), local},
		{call("bind", syscall.EADDRNOTAVAIL), noNetwork}, // no such address
		{wrap(syscall.EADDRNOTAVAIL), local},             // no free port
		{call("socket", syscall.EAFNOSUPPORT), local},
		{call("socket", syscall.EMFILE), local},
		{wrap(syscall.EMFILE), local},
		{wrap(syscall.ENFILE), local},
		{wrap(syscall.ENOBUFS), local},
		{wrap(syscall.EAGAIN), local}, // whose Timeout() is true
		{context.Canceled, local},
		{errors.New("never seen before"), local},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.err), func(t *testing.T) {
			code, class, sentence := classify(fmt.Errorf("wrapped: %w", tt.err), time.Second)
			if diff := cmp.Diff(tt.want, verdict{code, class}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if sentence == "" {
				t.Error("empty sentence")
			}
		})
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain":               "plain",
		`say "hi"`:            `say "hi"`,
		"a\x00b\nc\x1b[31m":   `a\x00b\nc\x1b[31m`,
		"中文":                  "中文",
		"\xff\xfe":            `\xff\xfe`,
		"0123456789012345678": "0123456789012345…",
	} {
		if got := printable(in, 16); got != want {
			t.Errorf("printable(%q) = %q, want %q", in, got, want)
		}
	}
}
