package sockets_test

import (
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/internal/netnstest"
	"github.com/lvs-director/lvs-director/pkg/kernel/sockets"
)

// inHost opens a UDP socket in a host.
func inHost(t *testing.T, h netnstest.Host, prepare func(fd int) error) (*net.UDPConn, syscall.RawConn) {
	t.Helper()
	var conn net.PacketConn
	h.Do(t, func() (err error) {
		config := net.ListenConfig{Control: sockets.Control(prepare)}
		conn, err = config.ListenPacket(t.Context(), "udp4", "127.0.0.1:0")
		return err
	})
	t.Cleanup(func() { _ = conn.Close() })
	c := conn.(*net.UDPConn)
	return c, raw(t, c)
}

func raw(t *testing.T, c syscall.Conn) syscall.RawConn {
	t.Helper()
	r, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func nothing(int) error { return nil }

func TestSameInterface(t *testing.T) {
	h := netnstest.New(t)
	c, r := inHost(t, h, nothing)
	expect := func(when, name string, index int, want error) {
		t.Helper()
		if err := sockets.SameInterface(r, name, index); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", when, err, want)
		}
	}
	h.IP(t, "link add name one index 70 type bridge")
	expect("unchanged", "one", 70, nil)
	h.IP(t, "link del one")
	expect("deleted", "one", 70, unix.ENODEV)
	h.IP(t, "link add name one index 71 type bridge")
	expect("deleted and added again", "one", 70, kernel.ErrNoInterface)
	h.IP(t, "link set one name two")
	expect("renamed", "one", 71, unix.ENODEV)
	expect("a name that is too long", strings.Repeat("a", 20), 71, kernel.ErrNoInterface)
	_ = c.Close()
	expect("closed", "two", 71, net.ErrClosed)
}

func TestInterfaceFlags(t *testing.T) {
	h := netnstest.New(t)
	_, r := inHost(t, h, nothing)
	h.IP(t, "link add name one type bridge")
	for _, c := range []struct {
		command string
		want    uint16
	}{{"link set one arp on", 0}, {"link set one arp off", unix.IFF_NOARP}} {
		h.IP(t, "%s", c.command)
		if flags, err := sockets.InterfaceFlags(r, "one"); err != nil || flags&unix.IFF_NOARP != c.want {
			t.Errorf("after %s: %x, %v", c.command, flags, err)
		}
	}
	if _, err := sockets.InterfaceFlags(r, "missing"); !errors.Is(err, unix.ENODEV) {
		t.Errorf("missing: %v", err)
	}
}

func TestOptions(t *testing.T) {
	h := netnstest.New(t)
	tos := sockets.Option{Name: "IP_TOS", Level: unix.IPPROTO_IP, Opt: unix.IP_TOS, Val: 0x10}
	_, r := inHost(t, h, func(fd int) error { return sockets.Set(fd, tos) })
	err := sockets.Do(r, func(fd int) error {
		value, err := unix.GetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TOS)
		if value != 0x10 {
			t.Errorf("IP_TOS is %#x", value)
		}
		later := sockets.Option{Name: "IP_TOS", Level: unix.IPPROTO_IP, Opt: unix.IP_TOS, Val: 0}
		wrong := sockets.Option{Name: "IP_TTL", Level: unix.IPPROTO_IP, Opt: unix.IP_TTL, Val: 256}
		if err := sockets.Set(fd, wrong, later); !errors.Is(err, unix.EINVAL) || !strings.Contains(err.Error(), "setsockopt IP_TTL") {
			t.Errorf("a wrong option: %v", err)
		}
		if value, _ := unix.GetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TOS); value != 0x10 {
			t.Errorf("the option after the wrong one was set: %#x", value)
		}
		if err := sockets.Bind(fd, "missing"); !errors.Is(err, unix.ENODEV) {
			t.Errorf("a missing interface: %v", err)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What leaves by another interface than the bound one does not arrive, and neither does what the filter refuses.
func TestBindAndFilter(t *testing.T) {
	h := netnstest.New(t)
	h.IP(t, "link add name one type bridge")
	bound, _ := inHost(t, h, func(fd int) error { return sockets.Bind(fd, "one") })
	filtered, _ := inHost(t, h, func(fd int) error {
		return sockets.Filter(fd, []unix.SockFilter{
			{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 8}, // behind the UDP header
			{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 'y', Jf: 1},
			{Code: unix.BPF_RET | unix.BPF_K, K: 0xffff},
			{Code: unix.BPF_RET | unix.BPF_K, K: 0},
		})
	})
	from, _ := inHost(t, h, nothing)
	for _, text := range []string{"no", "yes"} {
		for _, to := range []net.Addr{bound.LocalAddr(), filtered.LocalAddr()} {
			if _, err := from.WriteTo([]byte(text), to); err != nil && !errors.Is(err, unix.ECONNREFUSED) {
				t.Fatal(err)
			}
		}
	}
	var b [16]byte
	_ = filtered.SetReadDeadline(time.Now().Add(20 * time.Second))
	if n, _, err := filtered.ReadFrom(b[:]); err != nil || string(b[:n]) != "yes" {
		t.Errorf("%q, %v", b[:n], err)
	}
	_ = bound.SetReadDeadline(time.Now().Add(time.Millisecond)) // loopback delivers before it returns
	if n, _, err := bound.ReadFrom(b[:]); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the bound socket received %q, %v", b[:n], err)
	}
}

// pair returns two connected datagram sockets.
func pair(t *testing.T) (a, b *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "pair")
		c, err := net.FileConn(f)
		_ = f.Close()
		if err != nil {
			t.Fatal(err)
		}
		all[i] = c.(*net.UnixConn)
		t.Cleanup(func() { _ = c.Close() })
	}
	return all[0], all[1]
}

func TestWrite(t *testing.T) {
	a, b := pair(t)
	r := raw(t, a)
	send := func(fd int) error { return unix.Send(fd, []byte("x"), unix.MSG_DONTWAIT) }
	_ = a.SetWriteDeadline(time.Now().Add(-time.Hour))
	if err := sockets.Write(a, r, time.Hour, send); err != nil {
		t.Fatalf("after an earlier deadline: %v", err)
	}
	var err error
	for err == nil {
		err = sockets.Write(a, r, time.Millisecond, send)
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a full buffer: %v", err)
	}
	go func() { // makes room, until b is closed
		for err := error(nil); err == nil; {
			_, err = b.Read(make([]byte, 1))
		}
	}()
	if err := sockets.Write(a, r, time.Hour, send); err != nil {
		t.Errorf("room again: %v", err)
	}
	if err := sockets.Write(a, r, time.Hour, func(int) error { return unix.EPERM }); err != unix.EPERM {
		t.Errorf("another error: %v", err)
	}
	_ = a.Close()
	if err := sockets.Write(a, r, time.Hour, send); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}
