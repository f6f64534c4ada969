package liveness

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/lvs-director/lvs-director/pkg/bfd"
	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/bfdsock"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var on = vrrp.Segment{Interface: "eth0", Family: kernel.IPv4}

// lan is a simulated link between hosts.
type lan struct {
	mu    sync.Mutex // guards its fields and those of its hosts
	t     *testing.T
	hosts map[netip.Addr]*host
	cut   bool // nothing arrives
	begun time.Time
}

// host is a host with sessions.
type host struct {
	*lan
	address netip.Addr
	queue   chan bfdsock.Datagram // that has reached the host
	ttl     uint8
	fails   error // of a dial
	refused bool  // its packets are refused by the neighbour
	frozen  chan struct{}
	link    *Link
	changes []string
	stops   []func()
}

func newLAN(t *testing.T) *lan {
	return &lan{t: t, hosts: map[netip.Addr]*host{}, begun: time.Now()}
}

// set changes something.
func (l *lan) set(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

func (l *lan) host(address string) *host {
	h := &host{lan: l, address: netip.MustParseAddr(address), queue: make(chan bfdsock.Datagram, 1000), ttl: 255}
	l.set(func() { l.hosts[h.address] = h })
	h.link = NewLink(on, func(vrrp.Segment) (Listener, error) { return &listener{h, make(chan struct{})}, nil }, slog.New(slog.DiscardHandler))
	h.run(h.link.Run)
	<-h.link.Ready()
	return h
}

func (h *host) run(loop func(context.Context) error) {
	ctx, cancel := context.WithCancel(heartbeat.With(context.Background(), new(heartbeat.Set).Start("test")))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = loop(ctx)
	}()
	h.stops = append(h.stops, func() { cancel(); <-done })
}

// stop ends the sessions, then the link.
func (h *host) stop() {
	for _, f := range slices.Backward(h.stops) {
		f()
	}
	h.stops = nil
}

// session starts a session with a neighbour.
func (h *host) session(neighbour string, d Desired) *Session {
	a := New(Options{
		Link: h.link, Neighbour: netip.MustParseAddr(neighbour), Desired: d, Log: slog.New(slog.DiscardHandler),
		Dial: func(_ vrrp.Segment, source, neighbour netip.Addr) (Sender, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			if h.fails != nil {
				return nil, h.fails
			}
			return &sender{h, source, neighbour}, nil
		},
		Changed: func(c bfd.Change) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.changes = append(h.changes, fmt.Sprintf("%5dms %s %s lost=%t", time.Since(h.begun).Milliseconds(), c.To, c.Diag, c.Lost()))
		},
	})
	h.link.Attach(a)
	h.run(a.Run)
	return a
}

func (h *host) expect(want ...string) {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Equal(h.changes, want) {
		h.t.Errorf("%s: %q, want %q", h.address, h.changes, want)
	}
	h.changes = nil
}

type sender struct {
	h            *host
	source, dest netip.Addr
}

func (s *sender) Send(payload []byte) error {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	to := s.h.hosts[s.dest]
	if s.h.refused {
		return bfdsock.ErrRefused
	}
	if to != nil && !s.h.cut {
		to.queue <- bfdsock.Datagram{Source: s.source, TTL: s.h.ttl, Payload: slices.Clone(payload)}
	}
	return nil
}

func (s *sender) Close() error { return nil }

type listener struct {
	h      *host
	closed chan struct{}
}

func (l *listener) Wait() (bool, error) {
	l.h.mu.Lock()
	frozen := l.h.frozen
	l.h.mu.Unlock()
	if frozen != nil {
		<-frozen
	}
	select {
	case d := <-l.h.queue:
		// As a socket does it: the datagram stays queued.
		rest := []bfdsock.Datagram{d}
		for len(l.h.queue) > 0 {
			rest = append(rest, <-l.h.queue)
		}
		for _, d := range rest {
			l.h.queue <- d
		}
		return true, nil
	case <-l.closed:
		return false, net.ErrClosed
	case <-time.After(heartbeat.Every):
		return false, nil
	}
}

func (l *listener) Pending() (all []bfdsock.Datagram, err error) {
	for {
		select {
		case d := <-l.h.queue:
			all = append(all, d)
		default:
			return all, nil
		}
	}
}

func (l *listener) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

func fast(source string) Desired {
	return Desired{Source: netip.MustParseAddr(source), Interval: 10 * time.Millisecond, Multiplier: 3}
}

// TestUpAndDown: two sessions come up, and a cut is detected within the detection time; with the link they come up again.
func TestUpAndDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t)
		a, b := l.host("10.77.0.2"), l.host("10.77.0.3")
		one, other := a.session("10.77.0.3", fast("10.77.0.2")), b.session("10.77.0.2", fast("10.77.0.3"))
		time.Sleep(5 * time.Second)
		for _, s := range []Snapshot{one.Snapshot(), other.Snapshot()} {
			if s.State != bfd.Up || s.DetectionTime != 30*time.Millisecond || s.Interval != 10*time.Millisecond || s.Failed {
				t.Errorf("%+v", s)
			}
			if s.Sent < 300 || s.Received < 300 {
				t.Errorf("sent %d and received %d packets", s.Sent, s.Received)
			}
		}
		l.set(func() { a.changes, b.changes = nil, nil })
		l.set(func() { l.cut = true })
		cut := time.Now()
		time.Sleep(30 * time.Millisecond)
		for _, s := range []Snapshot{one.Snapshot(), other.Snapshot()} {
			if s.State != bfd.Down || !s.Failed || s.Since.Sub(cut) > 30*time.Millisecond || !strings.Contains(s.Reason(), "any more") {
				t.Errorf("%+v", s)
			}
		}
		l.set(func() {
			if len(a.changes) != 1 || !strings.HasSuffix(a.changes[0], "Down control detection time expired lost=true") {
				t.Errorf("%q", a.changes)
			}
		})
		l.set(func() { l.cut = false })
		time.Sleep(5 * time.Second)
		if one.Snapshot().State != bfd.Up || one.Snapshot().Failed || !strings.HasPrefix(one.Snapshot().Reason(), "up: ") {
			t.Errorf("%+v", one.Snapshot())
		}
		a.stop()
		b.stop()
	})
}

// TestStopIsNoLoss: a session that is stopped says so, and the neighbour does not take it for a failure.
func TestStopIsNoLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t)
		a, b := l.host("10.77.0.2"), l.host("10.77.0.3")
		a.session("10.77.0.3", fast("10.77.0.2"))
		other := b.session("10.77.0.2", fast("10.77.0.3"))
		time.Sleep(5 * time.Second)
		l.set(func() { b.changes = nil })
		a.stop()
		time.Sleep(5 * time.Second)
		b.expect(" 5000ms Down neighbor signaled session down lost=false")
		if s := other.Snapshot(); s.Failed || s.Reason() != "down: 10.77.0.2 has switched BFD off (AdminDown)" {
			t.Errorf("failed: %t, %s", s.Failed, s.Reason())
		}
		b.stop()
	})
}

// TestStallIsNoLoss: a director that stalls, and finds the packets of the meantime on its socket, has lost nobody, even
// if its timer fires before the goroutine that reads the socket runs.
func TestStallIsNoLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t)
		a, b := l.host("10.77.0.2"), l.host("10.77.0.3")
		a.session("10.77.0.3", fast("10.77.0.2"))
		other := b.session("10.77.0.2", fast("10.77.0.3"))
		time.Sleep(5 * time.Second)
		l.set(func() { a.changes, b.changes = nil, nil })
		l.set(func() { b.frozen = make(chan struct{}) })
		time.Sleep(5 * time.Second)
		b.expect()
		if other.Snapshot().State != bfd.Up {
			t.Errorf("%+v", other.Snapshot())
		}
		close(b.frozen)
		a.expect()
		a.stop()
		b.stop()
	})
}

// TestDrops: packets from afar, from strangers and of other sessions are ignored and counted.
func TestDrops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t)
		a, b := l.host("10.77.0.2"), l.host("10.77.0.3")
		l.set(func() { a.ttl = 254 })
		a.session("10.77.0.3", fast("10.77.0.2"))
		one := b.session("10.77.0.2", fast("10.77.0.3"))
		time.Sleep(3500 * time.Millisecond)
		if s := one.Snapshot(); s.EverUp || s.Received != 0 || s.Dropped["ttl"] < 3 || !strings.Contains(s.Reason(), "does it run BFD") {
			t.Errorf("%+v", s)
		}
		stranger := bfd.Packet{State: bfd.Down, Multiplier: 3, MyDiscriminator: 1}
		b.queue <- bfdsock.Datagram{Source: netip.MustParseAddr("10.77.0.9"), TTL: 255, Payload: stranger.Append(nil)}
		b.queue <- bfdsock.Datagram{Source: netip.MustParseAddr("10.77.0.9"), TTL: 64, Payload: stranger.Append(nil)}
		stranger.YourDiscriminator = 1
		b.queue <- bfdsock.Datagram{Source: a.address, TTL: 255, Payload: stranger.Append(nil)}
		b.queue <- bfdsock.Datagram{Source: a.address, TTL: 255, Payload: []byte("x")}
		time.Sleep(time.Second)
		if got := b.link.Dropped(); got["neighbour"] != 1 || got["ttl"] != 1 {
			t.Errorf("%v", got)
		}
		if got := one.Snapshot().Dropped; got["discriminator"] != 1 || got["length"] != 1 {
			t.Errorf("%v", got)
		}
		for range 100 {
			one.Deliver([]byte("x"))
		}
		time.Sleep(time.Second)
		if got := one.Snapshot().Dropped; got["overflow"] == 0 {
			t.Errorf("%v", got)
		}
		a.stop()
		b.stop()
	})
}

// TestSources: a session waits for an address to send from, follows a change of it, and tries again after an error.
func TestSources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t)
		a, b := l.host("10.77.0.2"), l.host("10.77.0.3")
		b.session("10.77.0.2", fast("10.77.0.3"))
		d := fast("10.77.0.2")
		d.Source = netip.Addr{}
		one := a.session("10.77.0.3", d)
		time.Sleep(5 * time.Second)
		if s := one.Snapshot(); s.Sent != 0 || !strings.Contains(s.Reason(), "no address of its own") {
			t.Errorf("%+v: %s", s, s.Reason())
		}
		l.set(func() { a.fails = errors.New("no luck") })
		one.Set(fast("10.77.0.2"))
		time.Sleep(5 * time.Second)
		if s := one.Snapshot(); s.Sent != 0 || !strings.Contains(s.Reason(), "no luck") {
			t.Errorf("%+v: %s", s, s.Reason())
		}
		l.set(func() { a.fails = nil })
		time.Sleep(5 * time.Second)
		if s := one.Snapshot(); s.State != bfd.Up || s.SendError != "" {
			t.Errorf("%+v", s)
		}
		d = fast("10.77.0.2")
		d.Interval = 100 * time.Millisecond
		one.Set(d)
		time.Sleep(time.Second)
		if s := one.Snapshot(); s.State != bfd.Up || s.Interval != 100*time.Millisecond || s.DetectionTime != 300*time.Millisecond {
			t.Errorf("%+v", s)
		}
		b.stop()
		l.set(func() { a.refused = true })
		time.Sleep(5 * time.Second)
		if s := one.Snapshot(); !strings.Contains(s.Reason(), "start BFD there") {
			t.Errorf("%s", s.Reason())
		}
		a.stop()
	})
}

// TestBrokenSocket: a socket that cannot be opened, or that breaks, is opened again.
func TestBrokenSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t)
		h := &host{lan: l, queue: make(chan bfdsock.Datagram, 10)}
		var last *listener
		fails := errors.New("in use")
		h.link = NewLink(on, func(vrrp.Segment) (Listener, error) {
			l.mu.Lock()
			defer l.mu.Unlock()
			if fails != nil {
				return nil, fails
			}
			last = &listener{h, make(chan struct{})}
			return last, nil
		}, slog.New(slog.DiscardHandler))
		h.run(h.link.Run)
		time.Sleep(2500 * time.Millisecond)
		if h.link.Broken() != "in use" {
			t.Errorf("%q", h.link.Broken())
		}
		l.set(func() { fails = nil })
		time.Sleep(time.Second)
		if h.link.Broken() != "" {
			t.Errorf("%q", h.link.Broken())
		}
		var before *listener
		l.set(func() { before = last })
		_ = before.Close() // it breaks
		time.Sleep(2 * time.Second)
		l.set(func() {
			if h.link.Broken() != "" || last == before {
				t.Errorf("%q, the same: %t", h.link.Broken(), last == before)
			}
		})
		h.stop()
		if h.link.Broken() == "" {
			t.Error("still open")
		}
	})
}

// brokenListener breaks as soon as it is used.
type brokenListener struct{}

func (brokenListener) Wait() (bool, error)                  { return false, errors.New("broken") }
func (brokenListener) Pending() ([]bfdsock.Datagram, error) { return nil, errors.New("broken") }
func (brokenListener) Close() error                         { return nil }

// TestSocketThatBreaksAtOnce: it is opened again once a second, and not all the time.
func TestSocketThatBreaksAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opened := 0
		l := NewLink(on, func(vrrp.Segment) (Listener, error) {
			opened++
			return brokenListener{}, nil
		}, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithTimeout(t.Context(), 10*reopenEvery+reopenEvery/2)
		defer cancel()
		if err := l.Run(ctx); err != nil || opened != 11 {
			t.Errorf("opened %d times in 10 s, %v", opened, err)
		}
	})
}
