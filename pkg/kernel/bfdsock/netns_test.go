package bfdsock

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/bfd"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/internal/netnstest"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// wait limits how long a test waits for an expected event; it is not a measured time.
const wait = 20 * time.Second

// pair is two hosts on one link, with an address of the family each.
type pair struct {
	a, b     netnstest.Host
	on       vrrp.Segment
	atA, atB netip.Addr
}

// families are the links of the tests.
func families(t *testing.T, f func(t *testing.T, p pair)) {
	for _, c := range []struct {
		family    kernel.Family
		a, b      string
		link      string
		bits, opt string
	}{
		{kernel.IPv4, "10.77.0.2", "10.77.0.3", "", "24", ""},
		{kernel.IPv6, "fd77::2", "fd77::3", "", "64", " nodad"},
		{kernel.IPv6, "fe80::2", "fe80::3", " link-local", "64", " nodad"},
	} {
		t.Run(c.family.String()+c.link, func(t *testing.T) {
			p := pair{
				a: netnstest.New(t), b: netnstest.New(t), on: vrrp.Segment{Interface: "eth0", Family: c.family},
				atA: netip.MustParseAddr(c.a), atB: netip.MustParseAddr(c.b),
			}
			netnstest.Wire(t, p.a, p.b)
			p.a.IP(t, "addr add %s/%s dev eth0%s", c.a, c.bits, c.opt)
			p.b.IP(t, "addr add %s/%s dev eth0%s", c.b, c.bits, c.opt)
			f(t, p)
		})
	}
}

func (p pair) listen(t *testing.T, on netnstest.Host) *Listener {
	t.Helper()
	var l *Listener
	on.Do(t, func() (err error) {
		l, err = Listen(p.on)
		return err
	})
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func (p pair) dial(t *testing.T) *Sender {
	t.Helper()
	var s *Sender
	p.a.Do(t, func() (err error) {
		s, err = Dial(p.on, p.atA, p.atB)
		return err
	})
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// next waits for one datagram.
func next(t *testing.T, l *Listener) Datagram {
	t.Helper()
	for deadline := time.Now().Add(wait); time.Now().Before(deadline); {
		if _, err := l.Wait(); err != nil {
			t.Fatal(err)
		}
		pending, err := l.Pending()
		if err != nil {
			t.Fatal(err)
		}
		if len(pending) > 0 {
			return pending[0]
		}
	}
	t.Fatal("no datagram arrived")
	return Datagram{}
}

// TestRFC5881Section4Ports: a packet arrives from the sender's address and a port of the range, with TTL 255; two
// sessions have different ports.
func TestRFC5881Section4Ports(t *testing.T) {
	families(t, func(t *testing.T, p pair) {
		l, s := p.listen(t, p.b), p.dial(t)
		payload := bfd.Packet{State: bfd.Down, Multiplier: 3, MyDiscriminator: 7}.Append(nil)
		if err := s.Send(payload); err != nil {
			t.Fatal(err)
		}
		d := next(t, l)
		if d.Source != p.atA || d.TTL != bfd.TTL || !slices.Equal(d.Payload, payload) {
			t.Errorf("received %+v", d)
		}
		port := func(s *Sender) uint16 { return s.conn.LocalAddr().(*net.UDPAddr).AddrPort().Port() }
		if second := p.dial(t); port(s) < 49152 || port(second) < 49152 || port(s) == port(second) {
			t.Errorf("ports %d and %d", port(s), port(second))
		}
	})
}

// TestRFC5881Section5TTL: the reader sees the TTL of a packet that was routed.
func TestRFC5881Section5TTL(t *testing.T) {
	families(t, func(t *testing.T, p pair) {
		l, s := p.listen(t, p.b), p.dial(t)
		err := s.raw.Control(func(fd uintptr) {
			level, opt := unix.IPPROTO_IP, unix.IP_TTL
			if p.on.Family == kernel.IPv6 {
				level, opt = unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS
			}
			if err := unix.SetsockoptInt(int(fd), level, opt, 254); err != nil {
				t.Error(err)
			}
		})
		if err = errors.Join(err, s.Send([]byte("x"))); err != nil {
			t.Fatal(err)
		}
		if d := next(t, l); d.TTL != 254 {
			t.Errorf("TTL %d", d.TTL)
		}
	})
}

// TestErrors: the errors that callers check for.
func TestErrors(t *testing.T) {
	families(t, func(t *testing.T, p pair) {
		s := p.dial(t)
		want := func(what string, err, want error) {
			t.Helper()
			if !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", what, err, want)
			}
		}
		var err error
		for begin := time.Now(); err == nil && time.Since(begin) < wait; time.Sleep(time.Millisecond) {
			err = s.Send([]byte("x"))
		}
		want("nothing listens", err, ErrRefused)
		l := p.listen(t, p.b)
		_ = s.Send([]byte("x")) // reports the refusal of the last one, and sends
		next(t, l)
		if err := p.b.Enter(func() error { _, err := Listen(p.on); return err }); !errors.Is(err, ErrInUse) {
			t.Errorf("port in use: %v", err)
		}
		on := p.on
		on.Interface = "eth9"
		want("no interface", p.a.Enter(func() error { _, err := Listen(on); return err }), kernel.ErrNoInterface)
		want("no interface to send on", p.a.Enter(func() error { _, err := Dial(on, p.atA, p.atB); return err }), kernel.ErrNoInterface)
		want("another's address", p.a.Enter(func() error { _, err := Dial(p.on, p.atB, p.atA); return err }), ErrNoSource)
		p.b.IP(t, "link del eth0")
		for begin := time.Now(); err == nil || time.Since(begin) < wait && !errors.Is(err, kernel.ErrNoInterface); {
			_, err = l.Wait()
		}
		want("the interface is gone", err, kernel.ErrNoInterface)
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		_, err = l.Wait()
		want("closed", err, net.ErrClosed)
		_, err = l.Pending()
		want("closed", err, net.ErrClosed)
	})
}

// TestOtherInterfaces: a packet for this host that arrives on another interface is not received.
func TestOtherInterfaces(t *testing.T) {
	families(t, func(t *testing.T, p pair) {
		p.b.IP(t, "link add other type veth peer name another")
		p.b.IP(t, "link set other up")
		l := p.listen(t, p.b)
		p.on.Interface = "other"
		others := p.listen(t, p.b)
		p.on.Interface = "eth0"
		if err := p.dial(t).Send([]byte("x")); err != nil {
			t.Fatal(err)
		}
		next(t, l)
		if pending, err := others.Pending(); len(pending) > 0 || err != nil {
			t.Errorf("%v, %v", pending, err)
		}
	})
}

// TestInterfaceOfTheSameName: an interface that was deleted and added again, as by ifdown and ifup of a VLAN, has another
// index, and the next Dial uses it.
func TestInterfaceOfTheSameName(t *testing.T) {
	families(t, func(t *testing.T, p pair) {
		p.dial(t)
		p.a.IP(t, "link del eth0")
		p.a.IP(t, "link add other type veth peer name another") // takes an index
		netnstest.Wire(t, p.a, p.b)
		bits := map[kernel.Family]string{kernel.IPv4: "24", kernel.IPv6: "64 nodad"}[p.on.Family]
		p.a.IP(t, "addr add %s/%s dev eth0", p.atA, bits)
		p.b.IP(t, "addr add %s/%s dev eth0", p.atB, bits)
		l, s := p.listen(t, p.b), p.dial(t)
		if err := s.Send([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if d := next(t, l); d.Source != p.atA {
			t.Errorf("received %+v", d)
		}
	})
}
