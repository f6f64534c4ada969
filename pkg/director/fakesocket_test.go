package director

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/election"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

func (k *fakeKernel) Socket(on vrrp.Segment) (election.Socket, error) {
	iface := on.String()
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.do("open %s", iface); err != nil {
		return nil, err
	}
	k.opened++
	s := &fakeSocket{k: k, iface: iface, in: make(chan vrrp.Datagram, 64), end: make(chan struct{})}
	k.sockets[iface] = s
	return s, nil
}

// Hear hears another machine at once, unless the links of this host deliver nothing.
func (k *fakeKernel) Hear(ctx context.Context, _ vrrp.Segment, source netip.Addr, targets []netip.Addr, every time.Duration) error {
	for {
		k.mu.Lock()
		silent := k.silent
		k.inquiry = fmt.Sprint(source, targets)
		k.mu.Unlock()
		if !silent {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(every):
		}
	}
}

// dumb makes the links of the host deliver nothing that others send, or everything.
func (k *fakeKernel) dumb(silent bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.silent = silent
}

// fakeSocket receives the adverts that the test injects.
type fakeSocket struct {
	k     *fakeKernel
	iface string
	in    chan vrrp.Datagram
	once  sync.Once
	end   chan struct{}
}

func (s *fakeSocket) Filter([]uint8, uint8) error { return nil }

func (s *fakeSocket) Join([]netip.Addr) error { return nil }

func (s *fakeSocket) Claims(addresses []netip.Addr) (all []kernel.Claim) {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	for _, a := range addresses {
		if by := s.k.claimedBy[a.String()]; by != "" {
			all = append(all, kernel.Claim{Address: a, HardwareAddr: by})
		}
		if by := s.k.answeredBy[a.String()]; by != "" && slices.Contains(s.k.asked, a) {
			all = append(all, kernel.Claim{Address: a, HardwareAddr: by})
		}
	}
	s.k.asked = nil
	return all
}

func (s *fakeSocket) Rest(time.Duration, []uint8) error { return errors.New("no rest") }
func (s *fakeSocket) Wake()                             {}

func (s *fakeSocket) Others() (seen []vrrp.Datagram, n uint64) { return nil, 0 }

func (s *fakeSocket) Wait() (bool, error) {
	for range 50 {
		if len(s.in) > 0 {
			return true, nil
		}
		select {
		case <-s.end:
			return false, errors.New("closed")
		case <-time.After(10 * time.Millisecond):
		}
	}
	return false, nil
}

func (s *fakeSocket) Pending() (all []vrrp.Datagram, err error) {
	for len(s.in) > 0 {
		all = append(all, <-s.in)
	}
	return all, nil
}

func (s *fakeSocket) Close() error {
	s.once.Do(func() { close(s.end); _ = s.k.closed() })
	return nil
}

// Send records only resignations.
func (s *fakeSocket) Send(payload []byte, _, _ netip.Addr) error {
	s.k.mu.Lock()
	took, err := s.k.sendTime, s.k.sendError
	s.k.mu.Unlock()
	if err != nil {
		return err
	}
	time.Sleep(took)
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	if payload[2] == vrrp.PriorityResign {
		return s.k.do("resign on %s", s.iface)
	}
	return nil
}

// SendFrom records only resignations.
func (s *fakeSocket) SendFrom(from kernel.MAC, payload []byte, _, _ netip.Addr) error {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	if payload[2] == vrrp.PriorityResign {
		return s.k.do("resign on %s from %s", s.iface, from)
	}
	return nil
}

// advertise injects an advert of a peer.
func (k *fakeKernel) advertise(iface, from string, vrid, priority uint8) {
	source, vip := netip.MustParseAddr(from), netip.MustParseAddr("10.77.0.100")
	if source.Is6() {
		vip = netip.MustParseAddr("fd00::100")
	}
	group := vrrp.Group(kernel.FamilyOf(source))
	packet := vrrp.Packet{Version: 3, VRID: vrid, Priority: priority, Interval: 100 * time.Millisecond, Addresses: []netip.Addr{vip}}
	payload, err := packet.Append(nil, source, group, vrrp.PseudoHeaderChecksum)
	if err != nil {
		panic(err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sockets[iface].in <- vrrp.Datagram{Payload: payload, Source: source, Destination: group, TTL: 255}
}

func (k *fakeKernel) lastInquiry() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.inquiry
}
