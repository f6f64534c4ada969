package host

import (
	"net/netip"
	"sync"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/neigh"
	"github.com/lvs-director/lvs-director/pkg/kernel/vrrpsock"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// socket is the VRRP socket of a segment, and what its machines claim with ARP. Both have the lifetime of the interface.
type socket struct {
	*vrrpsock.Socket

	mu  sync.Mutex      // guards arp
	arp *neigh.Listener // nil if the interface has no ARP, and after Close
}

func openSocket(on vrrp.Segment) (*socket, error) {
	s, err := vrrpsock.Open(on)
	if err != nil {
		return nil, err
	}
	// Elections work without ARP, as they do on an interface that is not Ethernet.
	arp, err := neigh.Listen(on.Interface)
	if err != nil {
		arp = nil
	}
	return &socket{Socket: s, arp: arp}, nil
}

// Close implements election.Socket.
func (s *socket) Close() error {
	s.mu.Lock()
	if s.arp != nil {
		s.arp.Close()
		s.arp = nil
	}
	s.mu.Unlock()
	return s.Socket.Close()
}

// Claims implements election.Socket.
func (s *socket) Claims(addresses []netip.Addr) []kernel.Claim {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.arp == nil {
		return nil
	}
	claims, _ := s.arp.Claims(addresses) // the VRRP socket reports an interface that is gone
	return claims
}
