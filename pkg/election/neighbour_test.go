package election

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/logtest"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// filterSocket is a socket that receives only packets of other virtual routers.
type filterSocket struct {
	mu    sync.Mutex
	vrids []uint8
	kept  []vrrp.Datagram
	more  uint64
	err   error
}

func (s *filterSocket) SendFrom(kernel.MAC, []byte, netip.Addr, netip.Addr) error { return nil }

func (s *filterSocket) Send([]byte, netip.Addr, netip.Addr) error { return nil }
func (s *filterSocket) Close() error                              { return nil }
func (s *filterSocket) Rest(longest time.Duration, _ []uint8) error {
	time.Sleep(longest)
	return nil
}
func (s *filterSocket) Wake() {}
func (s *filterSocket) Wait() (bool, error) {
	time.Sleep(time.Second)
	return false, nil
}
func (s *filterSocket) Pending() ([]vrrp.Datagram, error) { return nil, nil }

func (s *filterSocket) Join([]netip.Addr) error { return nil }

func (s *filterSocket) Filter(vrids []uint8, _ uint8) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.vrids = vrids
	return s.err
}

func (s *filterSocket) Claims([]netip.Addr) []kernel.Claim { return nil }

func (s *filterSocket) Others() ([]vrrp.Datagram, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept, s.more
}

func (s *filterSocket) keep(more uint64, kept ...vrrp.Datagram) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept, s.more = kept, more
}

func TestLinkTellsItsSocketWhatIsOurs(t *testing.T) {
	s := &filterSocket{}
	l := NewLink(eth0, func(vrrp.Segment) (Socket, error) { return s, nil }, slog.New(slog.DiscardHandler))
	l.Attach(52, &Actor{})
	if err := l.Open(); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		vrid  uint8
		actor *Actor
		want  []uint8
	}{{51, &Actor{}, []uint8{51, 52}}, {52, nil, []uint8{51}}} {
		l.Attach(step.vrid, step.actor)
		if !slices.Equal(s.vrids, step.want) {
			t.Errorf("the socket was told %v, want %v", s.vrids, step.want)
		}
	}
}

func TestFloodOfOtherRoutersIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, s := &logtest.Buffer{}, &filterSocket{}
		l := NewLink(eth0, func(vrrp.Segment) (Socket, error) { return s, nil }, slog.New(slog.NewTextHandler(out, nil)))
		l.Attach(51, &Actor{})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); l.Run(ctx) }()
		s.keep(9999, vrrp.Datagram{Payload: []byte{0x31, 77}, Source: netip.MustParseAddr("10.77.0.66"), TTL: 255})
		time.Sleep(time.Minute)
		if text := l.Snapshot().Flood; !strings.Contains(text, "virtual router 77 from 10.77.0.66") {
			t.Errorf("flood: %q", text)
		}
		_, dropped := l.Snapshot().Received, l.Snapshot().Dropped
		if dropped["flood"] < 9999*50 || dropped["vrid"] < 50 {
			t.Errorf("dropped: %v", dropped)
		}
		s.keep(0)
		time.Sleep(10 * time.Second)
		if text := l.Snapshot().Flood; text != "" {
			t.Errorf("after the end of the flood: %q", text)
		}
		if began, ended := out.Count("a flood of VRRP packets"), out.Count("the flood of VRRP packets is over"); began != 1 || ended != 1 {
			t.Errorf("the flood was logged %d times, its end %d times; want once each", began, ended)
		}
		stop()
		<-done
	})
}

func TestNeighboursOfAnInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN()
		a := l.join(t, "a", "10.77.0.2", 150)
		send := func(source string, priority uint8) {
			from := netip.MustParseAddr(source)
			payload, err := vrrp.Packet{
				Version: 3, VRID: 51, Priority: priority, Interval: time.Second, Addresses: []netip.Addr{netip.MustParseAddr("10.77.0.100")},
			}.Append(nil, from, group, vrrp.PseudoHeaderChecksum)
			if err != nil {
				t.Fatal(err)
			}
			a.Deliver(vrrp.Datagram{Payload: payload, Source: from, Destination: group, TTL: 255})
			synctest.Wait()
		}
		time.Sleep(10 * time.Second)
		send("10.77.0.2", 150)
		if s := a.Snapshot(); !s.Echo || s.Dropped["own_packet"] != 1 || s.Master.IsValid() {
			t.Errorf("%+v", s)
		}
		for range 20_000 { // in 10 s
			send("10.77.0.66", 1)
			time.Sleep(500 * time.Microsecond)
		}
		if s := a.Snapshot(); s.State != vrrp.Master || s.AdvertsSent > 40 || !strings.Contains(s.Flood, "from 10.77.0.66") {
			t.Errorf("after a flood of adverts of lower priority: %+v", s)
		}
		send("10.77.0.66", 255)
		time.Sleep(2 * allowAtOnce * allowEvery) // after the queued adverts have been taken
		if s := a.Snapshot(); s.State != vrrp.Backup || s.Master.String() != "10.77.0.66" || s.MasterPriority != 255 {
			t.Errorf("%+v", s)
		}
		time.Sleep(2 * time.Minute)
		if s := a.Snapshot(); s.Echo || s.Flood != "" || s.State != vrrp.Master {
			t.Errorf("long afterwards: %+v", s)
		}
		a.stop()
	})
}
