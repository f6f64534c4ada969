package syncsock

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/internal/netnstest"
)

// wait limits how long a test waits for an expected event; it is not a measured time.
const wait = 20 * time.Second

var group = netip.MustParseAddrPort("224.0.0.81:8848")

// pair is two hosts on one link. The first one has a virtual address before its own.
func pair(t *testing.T) (a, b netnstest.Host) {
	t.Helper()
	a, b = netnstest.New(t), netnstest.New(t)
	netnstest.Wire(t, a, b)
	a.IP(t, "addr add 10.77.0.100/24 dev eth0")
	a.IP(t, "addr add 10.77.0.2/24 dev eth0")
	b.IP(t, "addr add 10.77.0.3/24 dev eth0")
	return a, b
}

func open(t *testing.T, on netnstest.Host, source string) *Socket {
	t.Helper()
	var s *Socket
	on.Do(t, func() (err error) {
		s, err = Open(Address{Interface: "eth0", Source: netip.MustParseAddr(source), Group: group, TTL: 1})
		return err
	})
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// next waits for one datagram.
func next(t *testing.T, s *Socket) Datagram {
	t.Helper()
	for deadline := time.Now().Add(wait); time.Now().Before(deadline); {
		all, err := s.Receive(time.Now().Add(time.Second))
		if err != nil {
			t.Fatal(err)
		}
		if len(all) > 0 {
			return all[0]
		}
	}
	t.Fatal("no datagram arrived")
	return Datagram{}
}

// TestSharedPort: each of two sockets of a host receives what the other host sends, from its own address, and the sender does
// not. A long datagram arrives with its length.
func TestSharedPort(t *testing.T) {
	a, b := pair(t)
	from, first, second := open(t, a, "10.77.0.2"), open(t, b, "10.77.0.3"), open(t, b, "10.77.0.3")
	long := bytes.Repeat([]byte("x"), 9000)
	for _, payload := range [][]byte{[]byte("hello"), long} {
		if err := from.Send(payload); err != nil {
			t.Fatal(err)
		}
		for _, to := range []*Socket{first, second} {
			d := next(t, to)
			if d.Source.String() != "10.77.0.2" || d.Size != len(payload) || !bytes.Equal(d.Payload, payload[:min(len(payload), Kept)]) {
				t.Errorf("%s, %d bytes, %d kept", d.Source, d.Size, len(d.Payload))
			}
		}
	}
	if own, err := from.Receive(time.Now().Add(10 * time.Millisecond)); err != nil || len(own) > 0 {
		t.Errorf("its own: %d datagrams, %v", len(own), err)
	}
}

// TestOthers: what is sent to an address of the host, to another group, or comes in on another interface is not received.
func TestOthers(t *testing.T) {
	a, b := netnstest.New(t), netnstest.New(t)
	c := netnstest.New(t)
	netnstest.Wire(t, c, b)
	b.Rename(t, "eth0", "eth1")
	netnstest.Wire(t, a, b)
	a.IP(t, "addr add 10.77.0.2/24 dev eth0")
	b.IP(t, "addr add 10.77.0.3/24 dev eth0")
	b.IP(t, "addr add 10.77.1.3/24 dev eth1")
	c.IP(t, "addr add 10.77.1.4/24 dev eth0")
	at := func(on netnstest.Host, iface, source string, to netip.AddrPort) *Socket {
		var s *Socket
		on.Do(t, func() (err error) {
			s, err = Open(Address{Interface: iface, Source: netip.MustParseAddr(source), Group: to, TTL: 1})
			return err
		})
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	other := netip.MustParseAddrPort("224.0.0.82:8848")
	to := at(b, "eth0", "10.77.0.3", group)
	otherGroup, otherInterface := at(b, "eth0", "10.77.0.3", other), at(b, "eth1", "10.77.1.3", group)
	a.Do(t, func() error {
		unicast, err := net.Dial("udp4", "10.77.0.3:8848")
		if err != nil {
			return err
		}
		defer unicast.Close()
		_, err = unicast.Write([]byte("unicast"))
		return err
	})
	if err := at(a, "eth0", "10.77.0.2", other).Send([]byte("group")); err != nil {
		t.Fatal(err)
	}
	if err := at(c, "eth0", "10.77.1.4", group).Send([]byte("interface")); err != nil {
		t.Fatal(err)
	}
	if d := next(t, otherGroup); string(d.Payload) != "group" {
		t.Errorf("on the other group: %q", d.Payload)
	}
	if d := next(t, otherInterface); string(d.Payload) != "interface" {
		t.Errorf("on the other interface: %q", d.Payload)
	}
	if err := at(a, "eth0", "10.77.0.2", group).Send([]byte("last")); err != nil {
		t.Fatal(err)
	}
	if d := next(t, to); string(d.Payload) != "last" {
		t.Errorf("received %q from %s", d.Payload, d.Source)
	}
}

// TestErrors: no interface, no address, and the end of a socket that waits.
func TestErrors(t *testing.T) {
	a, _ := pair(t)
	for _, c := range []struct {
		iface, source string
		want          error
	}{{"eth9", "10.77.0.2", kernel.ErrNoInterface}, {"eth0", "10.77.0.9", ErrNoSource}, {"eth0", "", ErrNoSource}} {
		a.Do(t, func() error {
			source, _ := netip.ParseAddr(c.source)
			if s, err := Open(Address{Interface: c.iface, Source: source, Group: group, TTL: 1}); !errors.Is(err, c.want) {
				t.Errorf("%s %s: %v, %v", c.iface, c.source, s, err)
			}
			return nil
		})
	}
	s := open(t, a, "10.77.0.2")
	ended := make(chan error)
	go func() {
		_, err := s.Receive(time.Now().Add(wait))
		ended <- err
	}()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("the end: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("again: %v", err)
	}
}

// TestDown: an interface that is down and comes up again.
func TestDown(t *testing.T) {
	a, b := pair(t)
	from, to := open(t, a, "10.77.0.2"), open(t, b, "10.77.0.3")
	a.IP(t, "link set eth0 down")
	if err := from.Send([]byte("x")); err == nil {
		t.Error("sent on an interface that is down")
	}
	a.IP(t, "link set eth0 up")
	a.AwaitUp(t, "eth0")
	if err := from.Send([]byte("y")); err != nil {
		t.Fatal(err)
	}
	if d := next(t, to); string(d.Payload) != "y" {
		t.Errorf("%q", d.Payload)
	}
}
