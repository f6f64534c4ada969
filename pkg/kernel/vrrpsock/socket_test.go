package vrrpsock

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/internal/require"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/internal/netnstest"
	"github.com/lvs-director/lvs-director/pkg/kernel/sockets"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// wait limits how long a test waits for an expected event; it is not a measured time.
const wait = 20 * time.Second

var (
	own    = netip.MustParseAddr("10.77.0.2")
	far    = netip.MustParseAddr("10.77.0.3")
	vip    = netip.MustParseAddr("10.77.0.100")
	group  = netip.MustParseAddr("224.0.0.18")
	advert = []byte{0x31, 51, 150, 1, 0, 100, 0x12, 0x34, 10, 77, 0, 100}
)

// directors returns two hosts on one link, 10.77.0.2 and 10.77.0.3.
func directors(t *testing.T) (a, b host) {
	t.Helper()
	a, b = newHost(t), newHost(t)
	netnstest.Wire(t, a, b)
	a.IP(t, "addr add %s/24 dev eth0", own)
	b.IP(t, "addr add %s/24 dev eth0", far)
	return a, b
}

func openIn(t *testing.T, h host) *Socket {
	t.Helper()
	var s *Socket
	h.Do(t, func() (err error) {
		s, err = member(vrrp.Segment{Interface: "eth0", Family: kernel.IPv4})
		return err
	})
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// member opens a socket that is a member of the group of its family.
func member(on vrrp.Segment) (*Socket, error) {
	s, err := Open(on)
	if err != nil {
		return nil, err
	}
	if err := s.Join([]netip.Addr{vrrp.Group(on.Family)}); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// next reads one datagram, which must be the only one.
func next(t *testing.T, s *Socket) vrrp.Datagram {
	t.Helper()
	for deadline := time.Now().Add(wait); ; {
		_, err := s.Wait()
		must(t, err)
		switch pending, err := s.Pending(); {
		case err != nil:
			t.Fatal(err)
		case len(pending) == 1:
			return pending[0]
		case len(pending) > 1:
			t.Fatalf("%d datagrams at once: %v", len(pending), pending)
		case time.Now().After(deadline):
			t.Fatal("no datagram arrived")
		}
	}
}

func TestAdvertArrives(t *testing.T) {
	a, b := directors(t)
	from, to := openIn(t, a), openIn(t, b)
	must(t, from.Send(advert, own, group))
	want := vrrp.Datagram{Payload: advert, Source: own, Destination: netip.MustParseAddr("224.0.0.18"), TTL: 255}
	if diff := cmp.Diff(want, next(t, to), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("received (-want +got):\n%s", diff)
	}

	// The first datagram that the sender receives is the answer, not its own advert.
	must(t, to.Send(advert, far, group))
	if d := next(t, from); d.Source != far {
		t.Errorf("the sender received from %v first; want %v", d.Source, far)
	}
}

// capture captures all frames on eth0 of a host.
func capture(t *testing.T, h host) (frame func() []byte) {
	t.Helper()
	var fd int
	h.Do(t, func() (err error) {
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		ifi, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		ip := uint16(unix.ETH_P_IP>>8 | unix.ETH_P_IP&0xff<<8) // network byte order
		if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: ip, Ifindex: ifi.Index}); err != nil {
			return err
		}
		timeout := unix.NsecToTimeval(int64(wait))
		return unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout)
	})
	t.Cleanup(func() { _ = unix.Close(fd) })
	return func() []byte {
		t.Helper()
		b := make([]byte, bufferSize)
		for {
			n, _, err := unix.Recvfrom(fd, b, 0)
			if err == unix.EINTR {
				continue
			}
			must(t, err)
			if n > 23 && b[23] == protocol {
				return b[:n]
			}
		}
	}
}

func TestAdvertOnTheWire(t *testing.T) {
	a, b := directors(t)
	frame := capture(t, b)
	must(t, openIn(t, a).Send(advert, own, group))
	f := frame()
	for _, field := range []struct {
		name     string
		from, to int
		want     string
	}{
		{"destination (RFC 1112 section 6.4)", 0, 6, "01005e000012"},
		{"version, header length, TOS", 14, 16, "45c0"},
		{"total length", 16, 18, "0020"},
		{"TTL, protocol", 22, 24, "ff70"},
		{"source and group", 26, 34, "0a4d0002" + "e0000012"},
		{"payload", 34, 46, hex.EncodeToString(advert)},
	} {
		if got := hex.EncodeToString(f[field.from:field.to]); got != field.want {
			t.Errorf("%s: %s; want %s", field.name, got, field.want)
		}
	}
}

// Promise 4, also after the node's own address was deleted and added again, so that the VIP comes first on the
// interface.
func TestVIPIsNeverTheSource(t *testing.T) {
	a, b := directors(t)
	from, to := openIn(t, a), openIn(t, b)
	send := func(when string) {
		t.Helper()
		must(t, from.Send(advert, own, group))
		if d := next(t, to); d.Source != own {
			t.Errorf("%s: source %v; want %v", when, d.Source, own)
		}
	}
	a.IP(t, "addr add %s/32 dev eth0 valid_lft 60 preferred_lft 60", vip)
	send("with the VIP")
	a.IP(t, "addr del %s/24 dev eth0", own)
	if err := from.Send(advert, own, group); !errors.Is(err, ErrNoSource) {
		t.Errorf("without the own address: %v; want ErrNoSource, and no other source", err)
	}
	a.IP(t, "addr add %s/24 dev eth0", own)
	send("behind the VIP")
}

func TestSendRefuses(t *testing.T) {
	a, _ := directors(t)
	s := openIn(t, a)
	for _, source := range []netip.Addr{{}, netip.IPv4Unspecified(), netip.MustParseAddr("fd00::1"), netip.MustParseAddr("224.0.0.18"), far} {
		if err := s.Send(advert, source, group); !errors.Is(err, ErrNoSource) {
			t.Errorf("from %v: %v; want ErrNoSource", source, err)
		}
	}
	must(t, s.Send(advert, netip.AddrFrom16(own.As16()), group))
	for _, destination := range []netip.Addr{{}, netip.IPv4Unspecified(), vrrp.Group(kernel.IPv6)} {
		if err := s.Send(advert, own, destination); !errors.Is(err, ErrNoDestination) {
			t.Errorf("to %v: %v; want ErrNoDestination", destination, err)
		}
	}
}

// The error names the firewall that drops adverts, rather than "operation not permitted".
func TestSendFiltered(t *testing.T) {
	a, _ := directors(t)
	iptables, err := exec.LookPath("iptables-legacy") // the lab's kernel has no nf_tables
	if err != nil {
		require.Skip(t, require.Iptables, "%v: the lab has it", err)
	}
	s := openIn(t, a)
	a.Do(t, func() error {
		out, err := exec.Command(iptables, "-A", "OUTPUT", "-p", "112", "-j", "DROP").CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	want := "send advert from 10.77.0.2 on eth0: a packet filter of this host forbids it (allow IP protocol 112 in the output of nftables or iptables)"
	if err := s.Send(advert, own, group); !errors.Is(err, ErrFiltered) || err.Error() != want {
		t.Errorf("Send: %v; want %s", err, want)
	}
}

// hasOptions compares the options of a socket with what they should be.
func hasOptions(t *testing.T, s *Socket, want ...sockets.Option) {
	t.Helper()
	for _, o := range want {
		var got int
		err := sockets.Do(s.raw, func(fd int) (err error) {
			got, err = unix.GetsockoptInt(fd, o.Level, o.Opt)
			return err
		})
		if err != nil || got != o.Val {
			t.Errorf("%s = %d, %v; want %d", o.Name, got, err, o.Val)
		}
	}
}

func TestSocketOptions(t *testing.T) {
	a, _ := directors(t)
	s := openIn(t, a)
	hasOptions(t, s,
		sockets.Option{Name: "SO_PRIORITY", Level: unix.SOL_SOCKET, Opt: unix.SO_PRIORITY, Val: 7},
		sockets.Option{Name: "IP_TOS", Level: unix.IPPROTO_IP, Opt: unix.IP_TOS, Val: 0xC0},
		sockets.Option{Name: "IP_MULTICAST_ALL", Level: unix.IPPROTO_IP, Opt: unix.IP_MULTICAST_ALL, Val: 0},
		sockets.Option{Name: "IP_MULTICAST_LOOP", Level: unix.IPPROTO_IP, Opt: unix.IP_MULTICAST_LOOP, Val: 0},
		sockets.Option{Name: "IP_MULTICAST_TTL", Level: unix.IPPROTO_IP, Opt: unix.IP_MULTICAST_TTL, Val: 255},
	)
}

// Adverts on another link and packets to another group on this link are not received.
func TestReceivesFromItsLinkOnly(t *testing.T) {
	a, b := directors(t)
	c := newHost(t)
	c.IP(t, "link add eth0 type veth peer name eth1 netns /proc/%d/fd/%d", os.Getpid(), int(b.NS))
	c.IP(t, "addr add 10.88.0.2/24 dev eth0")
	c.IP(t, "link set eth0 up")
	b.IP(t, "addr add 10.88.0.3/24 dev eth1")
	b.IP(t, "link set eth1 up")
	c.AwaitUp(t, "eth0")
	b.AwaitUp(t, "eth1")
	to := openIn(t, b)
	b.Do(t, func() error { // the host is a group member on the other link
		other, err := Open(vrrp.Segment{Interface: "eth1", Family: kernel.IPv4})
		if err == nil {
			t.Cleanup(func() { _ = other.Close() })
		}
		return err
	})
	must(t, openIn(t, c).Send(advert, netip.MustParseAddr("10.88.0.2"), group))
	must(t, openIn(t, a).Send(advert, own, group))
	if d := next(t, to); d.Source != own {
		t.Errorf("received from %v first; want only its own link", d.Source)
	}
}

func TestOpenRefuses(t *testing.T) {
	a, _ := directors(t)
	a.IP(t, "link add br0 type bridge")
	a.IP(t, "link set br0 multicast off")
	refuses := func(iface string, sentinel error, text string) {
		t.Helper()
		a.Do(t, func() error {
			s, err := member(vrrp.Segment{Interface: iface, Family: kernel.IPv4})
			if err == nil {
				_ = s.Close()
			}
			if !errors.Is(err, sentinel) || err.Error() != text {
				t.Errorf("Open(%s): %v; want %s", iface, err, text)
			}
			return nil
		})
	}
	refuses("eth7", kernel.ErrNoInterface, "open VRRP socket on eth7: no such network interface (see: ip link)")
	refuses("lo", ErrNoMulticast, "join multicast groups on lo: the interface has no multicast: name the NIC that faces the other director")
	refuses("br0", ErrNoMulticast, "join multicast groups on br0: the interface has no multicast: name the NIC that faces the other director")

	if _, err := Open(vrrp.Segment{Interface: "eth0"}); !errors.Is(err, ErrNoFamily) {
		t.Errorf("Open for no family: %v; want ErrNoFamily", err)
	}

	for _, kept := range []uint{unix.CAP_NET_RAW, unix.CAP_NET_ADMIN} {
		a.Do(t, func() error {
			caps := [2]unix.CapUserData{}
			// Since Linux 6.0 CAP_NET_RAW alone also allows setting the priority.
			if kept != unix.CAP_NET_RAW {
				caps[0].Effective, caps[0].Permitted = 1<<kept, 1<<kept
			}
			if err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &caps[0]); err != nil {
				return err
			}
			want := "open VRRP socket on eth0: not permitted: needs CAP_NET_RAW and CAP_NET_ADMIN, run as root, or grant this in the service unit"
			if _, err := Open(vrrp.Segment{Interface: "eth0", Family: kernel.IPv4}); !errors.Is(err, kernel.ErrNotPermitted) || err.Error() != want {
				return fmt.Errorf("Open without CAP_NET_RAW: %v; want %s", err, want)
			}
			return nil
		})
	}
}

// TestDeadPeersDelayNoOthers: adverts to unicast peers that do not answer ARP wait in the kernel, and count as sent by the
// socket. Those to other peers are not delayed.
func TestDeadPeersDelayNoOthers(t *testing.T) {
	a, b := directors(t)
	from, to := openIn(t, a), openIn(t, b)
	must(t, from.Send(advert, own, far))
	next(t, to)
	for range 500 {
		for _, dead := range []string{"10.77.0.50", "10.77.0.51", "10.77.0.52"} {
			_ = from.Send(advert, own, netip.MustParseAddr(dead))
		}
	}
	must(t, from.Send(advert, own, far))
	next(t, to)
}

// TestFilterDuringClose: a filter that is set while the socket is closed leaves no descriptor behind.
func TestFilterDuringClose(t *testing.T) {
	a, _ := directors(t)
	for range 50 {
		s := openIn(t, a)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for s.Filter([]uint8{51}, 255) == nil {
			}
		}()
		must(t, s.Close())
		<-done
		if s.others.fd != 0 {
			t.Fatal("the second socket is open")
		}
	}
}
