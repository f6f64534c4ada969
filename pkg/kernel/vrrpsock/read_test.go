package vrrpsock

import (
	"errors"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/sockets"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// read waits for datagrams as the users of a Socket do, and returns them or the error.
func read(s *Socket) ([]vrrp.Datagram, error) {
	for {
		if _, err := s.Wait(); err != nil {
			return nil, err
		}
		if pending, err := s.Pending(); err != nil || len(pending) > 0 {
			return pending, err
		}
	}
}

// reading starts a read; its error is sent to the channel.
func reading(s *Socket) <-chan error {
	ended := make(chan error, 1)
	go func() {
		_, err := read(s)
		ended <- err
	}()
	return ended
}

// ends waits for the end of a read and checks its error.
func ends(t *testing.T, ended <-chan error, want error) {
	t.Helper()
	select {
	case err := <-ended:
		if !errors.Is(err, want) {
			t.Errorf("reading: %v; want %v", err, want)
		}
	case <-time.After(wait):
		t.Fatalf("read does not return; want %v", want)
	}
}

func TestCloseEndsReading(t *testing.T) {
	a, _ := directors(t)
	s := openIn(t, a)
	ended := reading(s)
	for range 2 {
		must(t, s.Close())
	}
	ends(t, ended, net.ErrClosed)
	if err := s.Send(advert, own, group); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Send: %v; want net.ErrClosed", err)
	}
	if _, err := s.Pending(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Pending: %v; want net.ErrClosed", err)
	}
}

// After a stall Pending returns everything queued, oldest first, although the deadline of the last Wait has passed.
func TestPending(t *testing.T) {
	a, b := directors(t)
	s, from := openIn(t, a), openIn(t, b)
	must(t, s.conn.SetReadDeadline(time.Unix(1, 0)))
	if pending, err := s.Pending(); err != nil || len(pending) != 0 {
		t.Errorf("Pending = %v, %v; want nothing", pending, err)
	}
	for i := range 5 {
		must(t, from.Send([]byte{byte(i)}, far, group))
	}
	// A veth delivers before Send returns, unless the host is busy: then ksoftirqd delivers later.
	var pending []vrrp.Datagram
	for stop := time.Now().Add(wait); len(pending) < 5 && time.Now().Before(stop); runtime.Gosched() {
		more, err := s.Pending()
		must(t, err)
		pending = append(pending, more...)
	}
	for i, d := range pending {
		if len(d.Payload) != 1 || d.Payload[0] != byte(i) || d.Source != far || d.TTL != 255 {
			t.Errorf("pending[%d] = %+v", i, d)
		}
	}
	if len(pending) != 5 {
		t.Errorf("%d datagrams pending; want 5", len(pending))
	}
}

// A payload that is longer than any advert is truncated and causes no error.
func TestLongPayload(t *testing.T) {
	a, b := directors(t)
	s := openIn(t, a)
	must(t, openIn(t, b).Send(make([]byte, 5000), far, group)) // sent in fragments
	if d := next(t, s); len(d.Payload) != bufferSize-headerSize {
		t.Errorf("%d bytes of payload; want %d", len(d.Payload), bufferSize-headerSize)
	}
}

func TestInterfaceRemoved(t *testing.T) {
	a, _ := directors(t)
	s := openIn(t, a)
	ended := reading(s)
	a.IP(t, "link del eth0")
	ends(t, ended, kernel.ErrNoInterface)
	if err := s.Send(advert, own, group); err == nil {
		t.Error("Send over a removed interface succeeds")
	}
}

func TestInterfaceRenamed(t *testing.T) {
	a, b := directors(t)
	s, from := openIn(t, a), openIn(t, b)
	a.Rename(t, "eth0", "wan0")
	// Also detected under traffic, when Wait always returns early.
	stop := time.Now().Add(wait)
	for time.Now().Before(stop) {
		must(t, from.Send(advert, far, group))
		if _, err := read(s); err != nil {
			if !errors.Is(err, kernel.ErrNoInterface) {
				t.Errorf("reading: %v; want ErrNoInterface", err)
			}
			return
		}
	}
	t.Error("Wait does not detect that the interface was renamed")
}

// A different interface that gets the same name is not the socket's interface.
func TestInterfaceReplaced(t *testing.T) {
	a, _ := directors(t)
	s := openIn(t, a)
	a.IP(t, "link del eth0")
	a.IP(t, "link add eth0 type bridge")
	ends(t, reading(s), kernel.ErrNoInterface)
}

// An interface that leaves the network namespace and returns keeps its index but not the memberships of its sockets: only
// a socket that is opened after the old one has been closed receives adverts.
func TestInterfaceLeavesAndReturns(t *testing.T) {
	a, b := directors(t)
	elsewhere := newHost(t)
	from, old := openIn(t, b), openIn(t, a)
	move := func(from, to host) {
		t.Helper()
		from.IP(t, "link set eth0 netns /proc/%d/fd/%d", os.Getpid(), int(to.NS))
	}
	move(a, elsewhere)
	move(elsewhere, a)
	a.IP(t, "addr add %s/24 dev eth0", own)
	a.IP(t, "link set eth0 up")
	a.AwaitUp(t, "eth0")
	b.AwaitUp(t, "eth0")
	must(t, from.Send(advert, far, group))
	must(t, sockets.SameInterface(old.raw, old.iface, old.index))
	time.Sleep(100 * time.Millisecond) // longer than the veth needs
	if pending, err := old.Pending(); err != nil || len(pending) > 0 {
		t.Logf("this kernel keeps the membership: %d adverts, %v", len(pending), err)
	}
	must(t, old.Close())
	fresh := openIn(t, a)
	must(t, from.Send(advert, far, group))
	if d := next(t, fresh); d.Source != far {
		t.Errorf("received from %v; want %v", d.Source, far)
	}
}

func TestInterfaceDownAndUp(t *testing.T) {
	a, b := directors(t)
	s, from := openIn(t, a), openIn(t, b)
	a.IP(t, "link set eth0 down")
	start := time.Now()
	if err := s.Send(advert, own, group); !errors.Is(err, ErrNoSource) {
		t.Errorf("Send while down: %v; want ErrNoSource", err)
	}
	// Send does not wait for the interface; the limit allows for a busy host.
	if took := time.Since(start); took > time.Second {
		t.Errorf("Send while down took %v", took)
	}
	ended := reading(s)
	select {
	case err := <-ended:
		t.Errorf("reading while down ended: %v", err)
	case <-time.After(waitAtMost + checkInterval):
	}
	a.IP(t, "link set eth0 up")
	a.AwaitUp(t, "eth0")
	b.AwaitUp(t, "eth0")
	a.IP(t, "addr replace %s/24 dev eth0", own)
	must(t, from.Send(advert, far, group))
	ends(t, ended, nil) // the group membership is kept
	must(t, s.Send(advert, own, group))
}

// The socket is opened before the interface is up or has an address, as at boot.
func TestOpenBeforeTheInterfaceIsReady(t *testing.T) {
	a, b := newHost(t), newHost(t)
	a.IP(t, "link add eth0 type veth peer name eth0 netns /proc/%d/fd/%d", os.Getpid(), int(b.NS))
	s := openIn(t, a)
	if err := s.Send(advert, own, group); !errors.Is(err, ErrNoSource) {
		t.Errorf("Send: %v; want ErrNoSource", err)
	}
	a.IP(t, "link set eth0 up")
	b.IP(t, "link set eth0 up")
	a.AwaitUp(t, "eth0")
	b.AwaitUp(t, "eth0")
	if err := s.Send(advert, own, group); !errors.Is(err, ErrNoSource) {
		t.Errorf("Send without an address: %v; want ErrNoSource", err)
	}
	b.IP(t, "addr add %s/24 dev eth0", far)
	must(t, openIn(t, b).Send(advert, far, group))
	if d := next(t, s); d.Source != far {
		t.Errorf("received from %v; want %v", d.Source, far)
	}
}

// Send returns at once even without a carrier.
func TestSendWithoutCarrier(t *testing.T) {
	a, b := directors(t)
	s := openIn(t, a)
	b.IP(t, "link set eth0 down")
	start := time.Now()
	for range 100 {
		_ = s.Send(advert, own, group) // lost without an error; only the carrier event reports it
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("100 adverts took %v", took)
	}
}
