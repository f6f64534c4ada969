package vrrpsock

import (
	"encoding/hex"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/sockets"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

var (
	own6   = netip.MustParseAddr("fe80::2")
	far6   = netip.MustParseAddr("fe80::3")
	vip6   = netip.MustParseAddr("fd00:77::100")
	group6 = netip.MustParseAddr("ff02::12")
	on6    = vrrp.Segment{Interface: "eth0", Family: kernel.IPv6}
)

// directors6 returns two hosts on one link, fe80::2 and fe80::3.
func directors6(t *testing.T) (a, b host) {
	t.Helper()
	a, b = directors(t)
	a.IP(t, "addr add %s/64 dev eth0 nodad", own6)
	b.IP(t, "addr add %s/64 dev eth0 nodad", far6)
	return a, b
}

func openIn6(t *testing.T, h host) *Socket {
	t.Helper()
	var s *Socket
	h.Do(t, func() (err error) {
		s, err = member(on6)
		return err
	})
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestAdvertArrivesOverIPv6(t *testing.T) {
	a, b := directors6(t)
	from, to := openIn6(t, a), openIn6(t, b)
	four := openIn(t, b)
	must(t, from.Send(advert, own6, group6))
	want := vrrp.Datagram{Payload: advert, Source: own6, Destination: group6, TTL: 255}
	if diff := cmp.Diff(want, next(t, to), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("received (-want +got):\n%s", diff)
	}
	// The first datagram that the sender receives is the answer, not its own advert.
	must(t, to.Send(advert, far6, group6))
	if d := next(t, from); d.Source != far6 {
		t.Errorf("the sender received from %v first; want %v", d.Source, far6)
	}
	if all, err := four.Pending(); err != nil || len(all) > 0 {
		t.Errorf("the socket of IPv4 received %v, %v", all, err)
	}
}

func TestAdvertOnTheWireOverIPv6(t *testing.T) {
	a, b := directors6(t)
	var fd int
	b.Do(t, func() (err error) { // only this socket's own packets: the header as a packet socket sees it
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(uint16(unix.ETH_P_IPV6>>8|unix.ETH_P_IPV6&0xff<<8)))
		timeout := unix.NsecToTimeval(int64(wait))
		return errors.Join(err, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout))
	})
	t.Cleanup(func() { _ = unix.Close(fd) })
	must(t, openIn6(t, a).Send(advert, own6, group6))
	f := make([]byte, bufferSize)
	for {
		n, _, err := unix.Recvfrom(fd, f, 0)
		must(t, err)
		if n > 20 && f[20] == protocol {
			f = f[:n]
			break
		}
	}
	for _, field := range []struct {
		name     string
		from, to int
		want     string
	}{
		{"destination (RFC 2464 section 7)", 0, 6, "333300000012"},
		{"version and traffic class", 14, 15, "6c"}, // the flow label follows
		{"payload length, next header, hop limit", 18, 22, "000c" + "70" + "ff"},
		{"source", 22, 38, "fe800000000000000000000000000002"},
		{"group", 38, 54, "ff020000000000000000000000000012"},
		{"payload", 54, 66, hex.EncodeToString(advert)}, // its checksum is the sender's
	} {
		if got := hex.EncodeToString(f[field.from:field.to]); got != field.want {
			t.Errorf("%s: %s; want %s", field.name, got, field.want)
		}
	}
}

func TestSendRefusesOverIPv6(t *testing.T) {
	a, _ := directors6(t)
	a.IP(t, "addr add %s/128 dev eth0 nodad preferred_lft 0 valid_lft 60", vip6)
	s := openIn6(t, a)
	for _, source := range []netip.Addr{{}, netip.IPv6Unspecified(), own, group6, far6} {
		if err := s.Send(advert, source, group6); !errors.Is(err, ErrNoSource) {
			t.Errorf("from %v: %v; want ErrNoSource", source, err)
		}
	}
	for _, destination := range []netip.Addr{{}, netip.IPv6Unspecified(), group} {
		if err := s.Send(advert, own6, destination); !errors.Is(err, ErrNoDestination) {
			t.Errorf("to %v: %v; want ErrNoDestination", destination, err)
		}
	}
}

// A tentative address is no source yet, and one that another machine has never is.
func TestTentativeSource(t *testing.T) {
	a, _ := directors6(t)
	s := openIn6(t, a)
	a.IP(t, "addr add fe80::22/64 dev eth0") // its detection takes a second
	if err := s.Send(advert, netip.MustParseAddr("fe80::22"), group6); !errors.Is(err, ErrNoSource) {
		t.Errorf("from a tentative address: %v; want ErrNoSource", err)
	}
	a.IP(t, "addr add %s/64 dev eth0", far6)
	for deadline := time.Now().Add(wait); !strings.Contains(a.IP(t, "addr show dev eth0 to %s", far6), "dadfailed"); {
		if time.Now().After(deadline) {
			t.Fatal("the kernel does not notice the duplicate")
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := s.Send(advert, far6, group6); !errors.Is(err, ErrNoSource) {
		t.Errorf("from a duplicate address: %v; want ErrNoSource", err)
	}
}

func TestSocketOptionsOfIPv6(t *testing.T) {
	a, _ := directors6(t)
	s := openIn6(t, a)
	hasOptions(t, s,
		sockets.Option{Name: "SO_PRIORITY", Level: unix.SOL_SOCKET, Opt: unix.SO_PRIORITY, Val: 7},
		sockets.Option{Name: "IPV6_TCLASS", Level: unix.IPPROTO_IPV6, Opt: unix.IPV6_TCLASS, Val: 0xC0},
		sockets.Option{Name: "IPV6_MULTICAST_ALL", Level: unix.IPPROTO_IPV6, Opt: unix.IPV6_MULTICAST_ALL, Val: 0},
		sockets.Option{Name: "IPV6_MULTICAST_LOOP", Level: unix.IPPROTO_IPV6, Opt: unix.IPV6_MULTICAST_LOOP, Val: 0},
		sockets.Option{Name: "IPV6_MULTICAST_HOPS", Level: unix.IPPROTO_IPV6, Opt: unix.IPV6_MULTICAST_HOPS, Val: 255},
		sockets.Option{Name: "IPV6_UNICAST_HOPS", Level: unix.IPPROTO_IPV6, Opt: unix.IPV6_UNICAST_HOPS, Val: 255},
		sockets.Option{Name: "IPV6_CHECKSUM", Level: unix.SOL_RAW, Opt: unix.IPV6_CHECKSUM, Val: -1},
	)
}

// The same as TestFilterKeepsTheOthersOut and TestFilterOfEveryRouter, for IPv6, with a packet with an extension header.
func TestFilterOfIPv6(t *testing.T) {
	a, b := directors6(t)
	s := openIn6(t, a)
	filterTo(t, a, s, 51, 1, 255, 51)
	onOneCPU(t)
	var fd int
	b.Do(t, func() (err error) {
		if fd, err = unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol); err != nil {
			return err
		}
		return unix.BindToDevice(fd, "eth0")
	})
	t.Cleanup(func() { _ = unix.Close(fd) })
	send := func(hops int, options, payload []byte) {
		t.Helper()
		must(t, unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, hops))
		must(t, unix.SetsockoptString(fd, unix.IPPROTO_IPV6, unix.IPV6_DSTOPTS, string(options)))
		oob, to := address6(0, far6, group6)
		must(t, unix.Sendmsg(fd, payload, oob, to, 0))
	}
	for vrid := range 255 {
		send(255, nil, ofRouter(uint8(vrid)))
	}
	options := []byte{0, 0, 1, 4, 0, 0, 0, 0} // PadN
	send(255, options, ofRouter(51))
	send(255, options, ofRouter(52))
	send(254, nil, ofRouter(51))
	send(255, nil, []byte{0x31})
	send(255, nil, ofRouter(255))
	if got := arrived(t, s, 255); !slices.Equal(got, []int{1, 51, 51}) {
		t.Errorf("read %v, want the adverts of routers 1, 51 and 51 with an extension header", got)
	}
	seen, unseen := s.Others()
	more, _ := s.Others()
	const others, ours = 256, 4
	if total := len(seen) + len(more) + int(unseen); len(seen) != sampleSize || total < others || total > others+ours {
		t.Errorf("%d others seen, then %d, and %d not, want %d of %d, and at most our %d more", len(seen), len(more), unseen, sampleSize, others, ours)
	}

	filterTo(t, a, s, 52)
	send(254, nil, ofRouter(52))
	for _, vrid := range []uint8{51, 52, 53} {
		send(255, nil, ofRouter(vrid))
	}
	if got := arrived(t, s, 52); len(got) != 0 {
		t.Errorf("read %v, which was removed from the filter", got)
	}
	seen, _ = s.Others()
	if len(seen) != 3 || seen[0].TTL != 254 || seen[1].Payload[1] != 51 || seen[2].Payload[1] != 53 || seen[0].Source != far6 || seen[0].Destination != group6 {
		t.Errorf("others: %v", seen)
	}

	var all []uint8
	for vrid := range 255 {
		all = append(all, uint8(vrid+1))
	}
	filterTo(t, a, s, all...)
	for _, vrid := range []uint8{1, 128, 255} {
		send(255, nil, ofRouter(vrid))
	}
	if got := arrived(t, s, 255); !slices.Equal(got, []int{1, 128}) {
		t.Errorf("read %v, want 1 and 128 before 255", got)
	}
}

// After a stall Pending returns everything queued, oldest first; long payloads are truncated.
func TestPendingOfIPv6(t *testing.T) {
	a, b := directors6(t)
	s, from := openIn6(t, a), openIn6(t, b)
	if pending, err := s.Pending(); err != nil || len(pending) != 0 {
		t.Errorf("Pending = %v, %v; want nothing", pending, err)
	}
	onOneCPU(t)
	must(t, from.Send(make([]byte, 5000), far6, group6)) // sent in fragments
	must(t, from.Send(advert, far6, group6))
	var pending []vrrp.Datagram
	for stop := time.Now().Add(wait); len(pending) < 2 && time.Now().Before(stop); {
		more, err := s.Pending()
		must(t, err)
		pending = append(pending, more...)
	}
	if len(pending) != 2 || len(pending[0].Payload) != bufferSize || string(pending[1].Payload) != string(advert) {
		t.Errorf("pending: %v", pending)
	}
}

// The membership outlives an interface that goes down, which loses its addresses.
func TestInterfaceDownAndUpOverIPv6(t *testing.T) {
	a, b := directors6(t)
	s, from := openIn6(t, a), openIn6(t, b)
	a.IP(t, "link set eth0 down")
	if err := s.Send(advert, own6, group6); !errors.Is(err, ErrNoSource) {
		t.Errorf("Send while down: %v; want ErrNoSource", err)
	}
	a.IP(t, "link set eth0 up")
	a.AwaitUp(t, "eth0")
	b.AwaitUp(t, "eth0")
	if err := s.Send(advert, own6, group6); !errors.Is(err, ErrNoSource) {
		t.Errorf("Send without the address: %v; want ErrNoSource", err)
	}
	a.IP(t, "addr add %s/64 dev eth0 nodad", own6)
	must(t, from.Send(advert, far6, group6))
	if d := next(t, s); d.Source != far6 {
		t.Errorf("received from %v", d.Source)
	}
	must(t, s.Send(advert, own6, group6))
}

// The kernel has no IPv6 on an interface whose MTU is too small for it, and takes it away when the MTU shrinks.
func TestNoIPv6OnTheInterface(t *testing.T) {
	a, _ := directors6(t)
	a.IP(t, "link set eth0 mtu 1279")
	a.Do(t, func() error {
		if _, err := member(on6); !errors.Is(err, ErrNoIPv6) {
			t.Errorf("Open: %v; want ErrNoIPv6", err)
		}
		return nil
	})
	a.IP(t, "link set eth0 mtu 1280")
	openIn6(t, a)
}

// Without permission, multicast or interface IPv6 is refused like IPv4.
func TestOpenRefusesIPv6(t *testing.T) {
	a, _ := directors6(t)
	for iface, want := range map[string]error{"eth7": kernel.ErrNoInterface, "lo": ErrNoMulticast} {
		a.Do(t, func() error {
			if _, err := member(vrrp.Segment{Interface: iface, Family: kernel.IPv6}); !errors.Is(err, want) {
				t.Errorf("Open(%s): %v; want %v", iface, err, want)
			}
			return nil
		})
	}
	a.Do(t, func() error {
		var none [2]unix.CapUserData
		if err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0]); err != nil {
			return err
		}
		if _, err := Open(on6); !errors.Is(err, kernel.ErrNotPermitted) {
			t.Errorf("Open without capabilities: %v; want ErrNotPermitted", err)
		}
		return nil
	})
}

// Another daemon of IPv6 is found as well.
func TestDaemonsSeeTheSocketOfIPv6(t *testing.T) {
	a, _ := directors6(t)
	openIn6(t, a)
	a.Do(t, func() error {
		found, err := anySocket("/proc/thread-self/net")
		if !found {
			t.Error("not found")
		}
		return err
	})
}

func FuzzControl(f *testing.F) {
	f.Add(unix.PktInfo6(&unix.Inet6Pktinfo{Ifindex: 2, Addr: group6.As16()}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, oob []byte) {
		if d := parseControl(oob); d.Source.IsValid() || d.Payload != nil {
			t.Errorf("%+v", d)
		}
	})
}
