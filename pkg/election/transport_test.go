package election

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

var (
	near  = netip.MustParseAddr("10.77.0.2")
	third = netip.MustParseAddr("10.77.0.4")
)

// sentWire notes the destinations of adverts; sending to one of them fails.
type sentWire struct {
	mu    sync.Mutex
	to    []string
	fails netip.Addr
}

func (w *sentWire) Drain()  {}
func (w *sentWire) Claims() {}
func (w *sentWire) Moved()  {}

// SendFrom implements Sender.
func (w *sentWire) SendFrom(from kernel.MAC, _ []byte, _, to netip.Addr) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.to = append(w.to, to.String()+" from "+from.String())
	return nil
}

func (w *sentWire) Send(_ []byte, _, to netip.Addr) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if to == w.fails {
		return errors.New("no route to " + to.String())
	}
	w.to = append(w.to, to.String())
	return nil
}

func (w *sentWire) take() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := strings.Join(w.to, " ")
	w.to = nil
	return all
}

// TestAdvertsAreSentToEveryDestination: an advert goes to each unicast peer, also if another one cannot be reached, and
// after a change of the transport to the group only. The snapshot says which peers have been heard.
func TestAdvertsAreSentToEveryDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN()
		w := &sentWire{fails: third}
		p := vrrp.Params{VRID: 51, Version: 3, Priority: 100, AdvertInterval: time.Second, Source: near}
		vips := []netip.Addr{netip.MustParseAddr("10.77.0.100")}
		far := netip.MustParseAddr("10.77.0.3")
		unicast := vrrp.Peers{Transport: vrrp.Transport{Unicast: true, Peers: []netip.Addr{third, far}}}
		a := New(Options{
			ID: "x", Name: "a", Params: p, Addresses: vips, Peers: unicast, Wire: w,
			Holder: &port{lan: l, who: "a"}, Log: slog.New(slog.DiscardHandler),
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = a.Run(ctx) }()
		defer func() { cancel(); <-done }()

		advert, err := vrrp.Packet{Version: 3, VRID: 51, Priority: 50, Interval: time.Second, Addresses: vips}.Append(nil, far, near, vrrp.PseudoHeaderChecksum)
		if err != nil {
			t.Fatal(err)
		}
		heard := time.Now()
		a.Deliver(vrrp.Datagram{Payload: advert, Source: far, Destination: near, TTL: 255})
		time.Sleep(10 * time.Second)
		s := a.Snapshot()
		if s.State != vrrp.Master || s.SendError != "no route to 10.77.0.4" || s.AdvertsSent < 3 {
			t.Errorf("%s after %d adverts, %q", s.State, s.AdvertsSent, s.SendError)
		}
		if got := fmt.Sprint(s.UnicastPeers); len(s.UnicastPeers) != 2 || !s.UnicastPeers[0].Heard.IsZero() || !s.UnicastPeers[1].Heard.Equal(heard) {
			t.Errorf("peers %s, want 10.77.0.4, never heard, and 10.77.0.3", got)
		}
		if all := w.take(); strings.Trim(all, " 10.73") != "" || !strings.Contains(all, "10.77.0.3") {
			t.Errorf("sent to %s, want only 10.77.0.3", all)
		}

		w.mu.Lock()
		w.fails = netip.Addr{}
		w.mu.Unlock()
		time.Sleep(time.Second)
		if s := a.Snapshot(); s.SendError != "" {
			t.Errorf("still %q", s.SendError)
		}
		a.Reconfigure(p, vips, vrrp.Peers{})
		synctest.Wait()
		w.take()
		time.Sleep(time.Second)
		if all, s := w.take(), a.Snapshot(); all != "224.0.0.18" || len(s.UnicastPeers) > 0 {
			t.Errorf("sent to %q, with the peers %v, want the group and none", all, s.UnicastPeers)
		}
		a.Reconfigure(p, vips, vrrp.Peers{Transport: vrrp.Transport{From: kernel.MAC{0, 0, 0x5e, 0, 1, 51}}})
		synctest.Wait()
		w.take()
		time.Sleep(time.Second)
		if all := w.take(); all != "224.0.0.18 from 00:00:5e:00:01:33" {
			t.Errorf("sent to %q, want the group from the virtual MAC address", all)
		}
	})
}

// groupSocket notes what a link asks of its socket.
type groupSocket struct {
	filterSocket
	groups   string
	leastTTL uint8
	refuses  error
}

func (s *groupSocket) Join(groups []netip.Addr) error {
	s.groups = fmt.Sprint(groups)
	return s.refuses
}

func (s *groupSocket) Filter(vrids []uint8, leastTTL uint8) error {
	s.leastTTL = leastTTL
	return s.filterSocket.Filter(vrids, leastTTL)
}

// TestReceptionOfALink: the socket joins the groups of all instances, and accepts the least TTL of them. Only an instance
// that uses multicast needs the membership.
func TestReceptionOfALink(t *testing.T) {
	actor := func(tr vrrp.Transport) *Actor {
		a := &Actor{}
		a.carried.Store(&tr)
		return a
	}
	s := &groupSocket{}
	l := NewLink(eth0, func(vrrp.Segment) (Socket, error) { return s, nil }, slog.New(slog.DiscardHandler))
	if err := l.Open(); err != nil {
		t.Fatal(err)
	}
	own := netip.MustParseAddr("239.77.0.18")
	for _, step := range []struct {
		vrid    uint8
		actor   *Actor
		refuses error
		groups  string
		least   uint8
		deaf    string
	}{
		{51, actor(vrrp.Transport{Unicast: true, LeastTTL: 254}), errors.New("no multicast"), "[224.0.0.18]", 254, ""},
		{52, actor(vrrp.Transport{Group: own}), errors.New("no multicast"), "[224.0.0.18 239.77.0.18]", 254, "no multicast"},
		{51, nil, nil, "[239.77.0.18]", 255, ""},
		{52, actor(vrrp.Transport{}), nil, "[224.0.0.18]", 255, ""},
	} {
		s.refuses = step.refuses
		l.Attach(step.vrid, step.actor)
		if s.groups != step.groups || s.leastTTL != step.least || l.Snapshot().Deaf != step.deaf {
			t.Errorf("groups %s, TTL %d, deaf %q; want %s, %d, %q", s.groups, s.leastTTL, l.Snapshot().Deaf, step.groups, step.least, step.deaf)
		}
	}
}
