package election

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// tenInstances is a segment with ten instances, and the socket of their link.
type tenInstances struct {
	*lan
	link   *Link
	actors []*Actor
	ports  []*port
	end    func()

	mu     sync.Mutex
	queue  []vrrp.Datagram
	came   []time.Time
	rung   chan struct{}
	awake  []uint8 // of the last Rest
	rests  int
	broken error         // of Rest
	stall  time.Duration // of the next Rest
	sent   int
}

func (s *tenInstances) Send([]byte, netip.Addr, netip.Addr) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent++
	return nil
}
func (s *tenInstances) SendFrom(kernel.MAC, []byte, netip.Addr, netip.Addr) error { return nil }
func (s *tenInstances) Close() error                                              { return nil }
func (s *tenInstances) Claims([]netip.Addr) []kernel.Claim                        { return nil }
func (s *tenInstances) Filter([]uint8, uint8) error                               { return nil }
func (s *tenInstances) Join([]netip.Addr) error                                   { return nil }
func (s *tenInstances) Others() ([]vrrp.Datagram, uint64)                         { return nil, 0 }
func (s *tenInstances) Wake()                                                     { s.ring() }

func (s *tenInstances) ring() {
	select {
	case s.rung <- struct{}{}:
	default:
	}
}

func (s *tenInstances) Wait() (bool, error) {
	for end := time.Now().Add(500 * time.Millisecond); time.Now().Before(end); time.Sleep(time.Millisecond) {
		s.mu.Lock()
		n := len(s.queue)
		s.mu.Unlock()
		if n > 0 {
			return true, nil
		}
	}
	return false, nil
}

func (s *tenInstances) Rest(longest time.Duration, awake []uint8) error {
	s.mu.Lock()
	s.awake, s.rests = slices.Clone(awake), s.rests+1
	err, stall := s.broken, s.stall
	s.stall = 0
	s.mu.Unlock()
	time.Sleep(stall)
	if err != nil {
		return err
	}
	select {
	case <-time.After(longest):
	case <-s.rung:
	}
	return nil
}

func (s *tenInstances) Pending() (all []vrrp.Datagram, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, d := range s.queue {
		d.Age = time.Since(s.came[i])
		all = append(all, d)
	}
	s.queue, s.came = nil, nil
	return all, nil
}

// receive is an advert of another director for one of the instances.
func (s *tenInstances) receive(t *testing.T, vrid, priority uint8) {
	t.Helper()
	from := netip.MustParseAddr("10.77.0.2")
	p := vrrp.Packet{Version: 3, VRID: vrid, Priority: priority, Interval: time.Second, Addresses: []netip.Addr{netip.MustParseAddr("10.77.0.100")}}
	payload, err := p.Append(nil, from, group, vrrp.PseudoHeaderChecksum)
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue, s.came = append(s.queue, vrrp.Datagram{Payload: payload, Source: from, Destination: group, TTL: 255}), append(s.came, time.Now())
	if priority == vrrp.PriorityResign || slices.Contains(s.awake, vrid) {
		s.ring()
	}
}

func (s *tenInstances) resting() (rests int, awake []uint8) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rests, s.awake
}

// startTen starts ten instances, of VRIDs 1 to 10, each with priority 100, which all hear a MASTER for ten seconds.
func startTen(t *testing.T) *tenInstances {
	t.Helper()
	s := &tenInstances{lan: newLAN(), rung: make(chan struct{}, 1)}
	s.link = NewLink(eth0, func(vrrp.Segment) (Socket, error) { return s, nil }, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	alarm := NewAlarm()
	running.Go(func() { alarm.Run(ctx) })
	for vrid := range uint8(10) {
		p := &port{lan: s.lan, who: fmt.Sprint(vrid + 1)}
		a := New(Options{
			Name: p.who, Holder: p, Wire: s.link, Log: s.logTo, Alarm: alarm,
			Params:    vrrp.Params{VRID: vrid + 1, Version: 3, Priority: 100, AdvertInterval: time.Second, Preempt: true, Source: netip.MustParseAddr("10.77.0.3")},
			Addresses: []netip.Addr{netip.MustParseAddr("10.77.0.100")},
			Peers:     vrrp.Peers{Directors: []netip.Addr{netip.MustParseAddr("10.77.0.2")}, Complete: true},
		})
		s.actors, s.ports = append(s.actors, a), append(s.ports, p)
		s.link.Attach(vrid+1, a)
		running.Go(func() { a.Run(ctx) })
	}
	if err := s.link.Open(); err != nil {
		t.Fatal(err)
	}
	running.Go(func() { s.link.Run(ctx) })
	s.end = func() { cancel(); running.Wait() }
	time.Sleep(100 * time.Millisecond)
	s.hear(t, 10)
	return s
}

// hear passes some seconds in which all instances hear a MASTER.
func (s *tenInstances) hear(t *testing.T, seconds int) {
	t.Helper()
	for range seconds {
		for vrid := range uint8(10) {
			s.receive(t, vrid+1, 150)
		}
		time.Sleep(time.Second)
	}
}

// TestRestingLink: a link on which many instances are BACKUP reads the adverts together, and their timers count from the arrival of
// the adverts. A resignation is followed at once. An instance that has become MASTER receives adverts at once.
func TestRestingLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startTen(t)
		defer s.end()
		before, awake := s.resting()
		time.Sleep(time.Second)
		if after, _ := s.resting(); after-before > 5 || len(awake) > 0 {
			t.Errorf("%d rests in a second, with %v awake", after-before, awake)
		}
		// The last adverts came 2 s ago, at 9.1 s.
		for vrid := range uint8(9) {
			s.receive(t, vrid+2, 150)
		}
		time.Sleep(1615 * time.Millisecond)           // before the end of a rest
		s.expect(t, " 12709ms 1 acquire silent=true") // 3 adverts + 156/256 s after the last one
		if _, awake := s.resting(); !slices.Equal(awake, []uint8{1}) {
			t.Errorf("awake: %v", awake)
		}
		time.Sleep(85 * time.Millisecond)
		s.receive(t, 2, vrrp.PriorityResign)
		synctest.Wait()
		if got := s.actors[1].View().Reason; got != "BACKUP: 10.77.0.2 resigned (priority 0)" {
			t.Errorf("2: %s", got)
		}
		s.receive(t, 1, 150)
		synctest.Wait()
		s.expect(t, " 12800ms 1 retain")
		s.hear(t, 3) // until it has let the VIPs go
		if _, awake := s.resting(); len(awake) > 0 {
			t.Errorf("awake: %v", awake)
		}
	})
}

// TestStalledLink: what was queued while the link was stalled counts as if it came now.
func TestStalledLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startTen(t)
		defer s.end()
		s.mu.Lock()
		s.stall = 2 * time.Second
		s.mu.Unlock()
		time.Sleep(300 * time.Millisecond)
		for vrid := range uint8(10) {
			s.receive(t, vrid+1, 150) // at 10.4 s, read at 12.5 s
		}
		time.Sleep(5 * time.Second)
		s.expect(t)
		time.Sleep(1500 * time.Millisecond)
		if n := s.held(); n != 10 {
			t.Errorf("%d take over", n)
		}
	})
}

func (s *tenInstances) held() (n int) {
	s.lan.mu.Lock()
	defer s.lan.mu.Unlock()
	for _, p := range s.ports {
		if p.held {
			n++
		}
	}
	return n
}

// TestFloodedLinkDoesNotRest: with many packets, each is read as it comes, until the flood is over.
func TestFloodedLinkDoesNotRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startTen(t)
		defer s.end()
		for range floodFrom {
			s.receive(t, 1, 150)
		}
		time.Sleep(300 * time.Millisecond)
		before, _ := s.resting()
		s.hear(t, 4)
		if after, _ := s.resting(); after != before {
			t.Errorf("%d rests", after-before)
		}
		s.hear(t, 2)
		if after, _ := s.resting(); after == before {
			t.Error("it does not rest any more")
		}
		for range ringsMost + 1 { // the first one ends a long rest
			s.receive(t, 1, vrrp.PriorityResign)
			synctest.Wait()
		}
		s.hear(t, 1)
		before, _ = s.resting()
		s.hear(t, 2)
		if after, _ := s.resting(); after != before {
			t.Errorf("%d rests in a flood of resignations", after-before)
		}
	})
}

// TestSocketThatCannotRest: each advert is read as it comes.
func TestSocketThatCannotRest(t *testing.T) {
	for _, broken := range []error{net.ErrClosed, kernel.ErrNoInterface} {
		synctest.Test(t, func(t *testing.T) {
			s := startTen(t)
			defer s.end()
			s.mu.Lock()
			s.broken = broken
			s.mu.Unlock()
			time.Sleep(time.Second)
			before, _ := s.resting()
			received := s.actors[0].Snapshot().AdvertsReceived
			s.receive(t, 1, 150)
			time.Sleep(10 * time.Millisecond)
			if got := s.actors[0].Snapshot().AdvertsReceived; got != received+1 {
				t.Errorf("%d adverts, before %d", got, received)
			}
			if after, _ := s.resting(); after != before {
				t.Errorf("%d rests", after-before)
			}
		})
	}
}
