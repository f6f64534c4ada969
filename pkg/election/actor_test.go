package election

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/logtest"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

var (
	eth0  = vrrp.Segment{Interface: "eth0", Family: kernel.IPv4}
	group = vrrp.Group(kernel.IPv4)
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lan delivers what one actor sends to all the others, with a switch for each.
type lan struct {
	mu     sync.Mutex
	actors map[netip.Addr]*Actor
	cut    map[netip.Addr]bool
	socket map[netip.Addr][]vrrp.Datagram // queued while the host is frozen
	frozen map[netip.Addr]bool            // the socket is not read
	log    []string
	epoch  time.Time
	logTo  *slog.Logger // of the actors
}

func newLAN() *lan {
	return &lan{
		actors: map[netip.Addr]*Actor{}, cut: map[netip.Addr]bool{}, epoch: time.Now(),
		socket: map[netip.Addr][]vrrp.Datagram{}, frozen: map[netip.Addr]bool{}, logTo: slog.New(slog.DiscardHandler),
	}
}

func (l *lan) Send(payload []byte, source, destination netip.Addr) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if want := vrrp.Group(kernel.FamilyOf(source)); destination != want {
		return fmt.Errorf("an advert of %s goes to %s, not to %s", source, destination, want)
	}
	if l.cut[source] {
		return nil
	}
	for address, a := range l.actors {
		if address == source || l.cut[address] {
			continue
		}
		d := vrrp.Datagram{Payload: payload, Source: source, Destination: destination, TTL: 255}
		if l.frozen[address] {
			l.socket[address] = append(l.socket[address], d)
			continue
		}
		a.Deliver(d)
	}
	return nil
}

// SendFrom implements Sender: the machines do not look at MAC addresses.
func (l *lan) SendFrom(_ kernel.MAC, payload []byte, source, destination netip.Addr) error {
	return l.Send(payload, source, destination)
}

// tap is the connection of one machine to the segment.
type tap struct {
	*lan
	address netip.Addr
}

// Drain delivers what is queued on the machine's socket and unfreezes it.
func (p tap) Drain() {
	p.mu.Lock()
	queued, a := p.socket[p.address], p.actors[p.address]
	p.socket[p.address], p.frozen[p.address] = nil, false
	p.mu.Unlock()
	for _, d := range queued {
		a.Deliver(d)
	}
}

// Claims implements Wire: tests pass claims themselves.
func (p tap) Claims() {}

// Moved implements Wire.
func (p tap) Moved() {}

// freeze stops a machine as SIGSTOP does: its actor does nothing for d, and its socket is not read until the actor
// drains it.
func (l *lan) freeze(m *machine, d time.Duration) {
	l.mu.Lock()
	l.log, l.frozen[m.address] = nil, true
	l.mu.Unlock()
	m.command(func(*Actor) { time.Sleep(d) })
}

// port is the Holder of one actor; it records the requests of the election.
type port struct {
	lan  *lan
	who  string
	held bool
}

func (p *port) note(what string) {
	p.lan.mu.Lock()
	defer p.lan.mu.Unlock()
	p.lan.log = append(p.lan.log, fmt.Sprintf("%6dms %s %s", time.Since(p.lan.epoch).Milliseconds(), p.who, what))
}

func (p *port) Acquire(_ config.InstanceID, silent bool) {
	p.held = true
	p.note(fmt.Sprintf("acquire silent=%t", silent))
}
func (p *port) Release(config.InstanceID)               { p.held = false; p.note("release") }
func (p *port) Retain(config.InstanceID, time.Duration) { p.note("retain") }
func (p *port) Announce(config.InstanceID)              { p.note("announce") }
func (p *port) Outranked(_ config.InstanceID, hold time.Duration) {
	if hold == 0 {
		p.note("announce")
		return
	}
	p.note("hold")
}
func (p *port) Ask(_ config.InstanceID, vip netip.Addr) { p.note("ask " + vip.String()) }

type machine struct {
	*Actor
	*port
	address netip.Addr
	slept   atomic.Int64
	stop    func()
}

func (m *machine) suspended() time.Duration { return time.Duration(m.slept.Load()) }

func (l *lan) join(t *testing.T, who string, address string, priority uint8) *machine {
	m := &machine{port: &port{lan: l, who: who}, address: netip.MustParseAddr(address)}
	vip := netip.MustParseAddr("10.77.0.100")
	if m.address.Is6() {
		vip = netip.MustParseAddr("fd00::100")
	}
	m.Actor = New(Options{
		Name: who,
		Params: vrrp.Params{
			VRID: 51, Version: 3, Priority: priority, AdvertInterval: time.Second, Preempt: true, Source: m.address,
		},
		Addresses: []netip.Addr{vip},
		Wire:      tap{l, m.address}, Holder: m.port, Suspended: m.suspended, Log: l.logTo, Alarm: NewAlarm(),
	})
	l.mu.Lock()
	l.actors[m.address] = m.Actor
	l.mu.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { m.Run(ctx) })
	running.Go(func() { m.alarm.Run(ctx) })
	m.stop = func() { cancel(); running.Wait() }
	return m
}

func (l *lan) expect(t *testing.T, want ...string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if got := strings.Join(l.log, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("requests for the VIPs:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
	}
	l.log = nil
}

// Elections are the same in both families, except for the multicast group.
func TestOneOfTwoActorsHoldsTheVIPs(t *testing.T) {
	t.Run("IPv4", func(t *testing.T) { oneHolds(t, "10.77.0.2", "10.77.0.3") })
	t.Run("IPv6", func(t *testing.T) { oneHolds(t, "fe80::2", "fe80::3") })
}

func oneHolds(t *testing.T, first, second string) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN()
		a := l.join(t, "a", first, 150)
		b := l.join(t, "b", second, 100)
		time.Sleep(10 * time.Second)
		// 3 adverts + (256-150)/256 s
		l.expect(t, "  3414ms a acquire silent=true")
		if s := b.Snapshot(); s.State != vrrp.Backup || s.AdvertsReceived < 6 {
			t.Errorf("b: %+v", s)
		}

		a.stop() // resigns: b follows after its skew, 156/256 s
		time.Sleep(10 * time.Second)
		l.expect(t, " 10000ms a release", " 10609ms b acquire silent=false")

		b.stop()
		l.expect(t, " 20000ms b release")
	})
}

func TestSilentPeerIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN()
		a := l.join(t, "a", "10.77.0.2", 150)
		b := l.join(t, "b", "10.77.0.3", 100)
		time.Sleep(4 * time.Second)
		l.mu.Lock()
		l.log = nil
		l.cut[a.address] = true
		l.mu.Unlock()
		time.Sleep(6 * time.Second)
		// 3 adverts + 156/256 s after the last advert at 3414 ms
		l.expect(t, "  7023ms b acquire silent=true")
		l.mu.Lock()
		l.cut[a.address] = false
		l.mu.Unlock()
		time.Sleep(2 * time.Second)
		l.mu.Lock()
		log := strings.Join(l.log, "\n")
		l.mu.Unlock()
		if !a.held || b.held || !strings.Contains(log, "b release") || !strings.Contains(log, "a announce") {
			t.Errorf("after the heal the higher priority must hold the VIPs and announce them again:\n%s", log)
		}
		a.stop()
		b.stop()
	})
}

func TestIgnoredPacketsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN()
		a := l.join(t, "a", "10.77.0.2", 150)
		peer := netip.MustParseAddr("10.77.0.9")
		a.Deliver(vrrp.Datagram{Payload: []byte{0x31, 51, 255}, Source: peer, Destination: group, TTL: 255})
		a.Deliver(vrrp.Datagram{Payload: []byte{0x31, 51, 255, 1, 0, 100, 0, 0}, Source: peer, Destination: group, TTL: 64})
		synctest.Wait()
		s := a.Snapshot()
		if s.Dropped["length"] != 1 || s.Dropped["ttl"] != 1 || s.AdvertsReceived != 0 {
			t.Errorf("dropped %v, received %d", s.Dropped, s.AdvertsReceived)
		}
		a.stop()
	})
}

func TestFloodNeitherBlocksNorDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN()
		a := l.join(t, "a", "10.77.0.2", 150)
		peer := netip.MustParseAddr("10.77.0.9")
		for range 1000 {
			a.Deliver(vrrp.Datagram{Payload: []byte{0x31, 51}, Source: peer, Destination: group, TTL: 255})
		}
		time.Sleep(4 * time.Second)
		l.expect(t, "  3414ms a acquire silent=true")
		if s := a.Snapshot(); s.Dropped["overflow"] == 0 || s.Dropped["overflow"]+s.Dropped["length"] != 1000 {
			t.Errorf("dropped %v", s.Dropped)
		}
		a.stop()
	})
}

// fakeSocket is a socket whose datagrams come from the test.
type fakeSocket struct {
	in     chan vrrp.Datagram
	closed chan struct{}
	once   sync.Once
	mu     sync.Mutex
	queue  []vrrp.Datagram
}

func (s *fakeSocket) Send([]byte, netip.Addr, netip.Addr) error                 { return nil }
func (s *fakeSocket) SendFrom(kernel.MAC, []byte, netip.Addr, netip.Addr) error { return nil }
func (s *fakeSocket) Close() error                                              { s.once.Do(func() { close(s.closed) }); return nil }

func (s *fakeSocket) Rest(time.Duration, []uint8) error { return net.ErrClosed }
func (s *fakeSocket) Wake()                             {}

func (s *fakeSocket) Claims([]netip.Addr) []kernel.Claim { return nil }

func (s *fakeSocket) Filter([]uint8, uint8) error       { return nil }
func (s *fakeSocket) Join([]netip.Addr) error           { return nil }
func (s *fakeSocket) Others() ([]vrrp.Datagram, uint64) { return nil, 0 }

func (s *fakeSocket) Wait() (bool, error) {
	select {
	case d := <-s.in:
		s.mu.Lock()
		s.queue = append(s.queue, d)
		s.mu.Unlock()
		return true, nil
	case <-s.closed:
		return false, context.Canceled
	}
}

func (s *fakeSocket) Pending() ([]vrrp.Datagram, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.queue
	s.queue = nil
	return all, nil
}

func TestLinkReopensItsSocketAndRoutesByVRID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var sockets []*fakeSocket
		missing := true
		opened := func() []*fakeSocket {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(sockets)
		}
		link := NewLink(eth0, func(vrrp.Segment) (Socket, error) {
			mu.Lock()
			defer mu.Unlock()
			if missing {
				return nil, fmt.Errorf("no such interface")
			}
			s := &fakeSocket{in: make(chan vrrp.Datagram), closed: make(chan struct{})}
			sockets = append(sockets, s)
			return s, nil
		}, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); link.Run(ctx) }()
		time.Sleep(3 * time.Second)
		if link.Snapshot().Broken == "" || link.Send(nil, netip.Addr{}, netip.Addr{}) == nil {
			t.Error("a link without an interface reports no problem")
		}
		mu.Lock()
		missing = false
		mu.Unlock()
		link.Reopen()
		synctest.Wait()
		if link.Snapshot().Broken != "" {
			t.Fatalf("still broken after the interface came: %s", link.Snapshot().Broken)
		}
		l := newLAN()
		a := l.join(t, "a", "10.77.0.2", 150)
		link.Attach(51, a.Actor)
		opened()[0].in <- vrrp.Datagram{Payload: []byte{0x31, 51}, TTL: 255}
		opened()[0].in <- vrrp.Datagram{Payload: []byte{0x31, 52}, TTL: 255}
		opened()[0].in <- vrrp.Datagram{Payload: []byte{0x31}, TTL: 255}
		synctest.Wait()
		received, dropped := link.Snapshot().Received, link.Snapshot().Dropped
		if received != 3 || dropped["vrid"] != 1 || dropped["length"] != 1 || a.Snapshot().Dropped["length"] != 1 {
			t.Errorf("received %d, dropped by the link %v, by the instance %v", received, dropped, a.Snapshot().Dropped)
		}
		time.Sleep(time.Second)
		_ = opened()[0].Close()
		synctest.Wait()
		if n := len(opened()); n != 2 || link.Snapshot().Broken != "" {
			t.Errorf("%d sockets, %q: a broken socket must be opened again at once", n, link.Snapshot().Broken)
		}
		a.stop()
		cancel()
		<-done
		if link.Snapshot().Broken == "" {
			t.Error("open after the end")
		}
	})
}

// Reopen replaces a socket that works as well, because a socket cannot tell that it has become deaf. The old one is closed
// first.
func TestReopenReplacesTheSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sockets []*fakeSocket
		var log logtest.Buffer
		link := NewLink(eth0, func(vrrp.Segment) (Socket, error) {
			for _, s := range sockets {
				select {
				case <-s.closed:
				default:
					t.Error("the old socket is open while the new one joins")
				}
			}
			s := &fakeSocket{in: make(chan vrrp.Datagram), closed: make(chan struct{})}
			sockets = append(sockets, s)
			return s, nil
		}, slog.New(slog.NewTextHandler(&log, nil)))
		if err := link.Open(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); link.Run(ctx) }()
		synctest.Wait()
		for want := 2; want < 5; want++ {
			link.Reopen()
			synctest.Wait()
			if len(sockets) != want || link.Snapshot().Broken != "" {
				t.Errorf("%d sockets, broken: %q, want the next one at once", len(sockets), link.Snapshot().Broken)
			}
		}
		if strings.Contains(log.String(), "level=WARN") {
			t.Errorf("log:\n%s", log.String())
		}
		cancel()
		<-done
	})
}

// An interface on which every socket breaks must not cause a busy loop in the link.
func TestSocketsThatBreakAtOnceAreNotReopenedInALoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var opened atomic.Int64
		link := NewLink(eth0, func(vrrp.Segment) (Socket, error) {
			opened.Add(1)
			s := &fakeSocket{closed: make(chan struct{})}
			return s, s.Close()
		}, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); link.Run(ctx) }()
		time.Sleep(10*time.Second + time.Millisecond)
		cancel()
		<-done
		if n := opened.Load(); n < 9 || n > 12 {
			t.Errorf("opened %d times in 10 s, want about one a second", n)
		}
	})
}

// A fault that is known before the start is effective from the start: an address owner without a carrier does not take
// the VIPs.
func TestFaultBeforeTheStartKeepsTheOwnerFromServing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN()
		owner := &port{lan: l, who: "owner"}
		a := New(Options{
			Name:   "owner",
			Params: vrrp.Params{VRID: 51, Version: 3, Priority: 255, AdvertInterval: time.Second, Preempt: true, Source: netip.MustParseAddr("10.77.0.2")},
			Wire:   tap{lan: l}, Holder: owner, Log: slog.New(slog.DiscardHandler),
		})
		a.Tell(vrrp.Faulted{Reason: "no carrier"})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); a.Run(ctx) }()
		time.Sleep(10 * time.Second)
		l.expect(t)
		if s := a.Snapshot(); s.State != vrrp.Fault || s.AdvertsSent != 0 {
			t.Errorf("state %s, %d adverts sent, want FAULT and no adverts", s.State, s.AdvertsSent)
		}
		cancel()
		<-done
	})
}

// After a stall a command, queued adverts and an expired timer are pending together: the adverts are processed first.
func TestQueuedAdvertsCountBeforeACommand(t *testing.T) {
	for range 20 { // select picks a ready case at random
		synctest.Test(t, func(t *testing.T) {
			l := newLAN()
			a := l.join(t, "a", "10.77.0.2", 100)
			b := l.join(t, "b", "10.77.0.3", 150)
			time.Sleep(5 * time.Second)
			l.mu.Lock()
			l.log = nil
			l.mu.Unlock()
			a.command(func(*Actor) { time.Sleep(20 * time.Second) }) // SIGSTOP
			time.Sleep(time.Second)
			a.Tell(vrrp.Ready{})
			time.Sleep(25 * time.Second)
			l.expect(t)
			a.stop()
			b.stop()
		})
	}
}
