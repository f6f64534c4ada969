package host

import (
	"net/netip"
	"sync"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/neigh"
	"github.com/lvs-director/lvs-director/pkg/kernel/vrrpsock"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// socket is the VRRP socket of a segment, and what its machines claim with ARP or neighbour advertisements. Both have the
// lifetime of the interface.
type socket struct {
	*vrrpsock.Socket

	mu     sync.Mutex      // guards claims
	claims *neigh.Listener // nil if the interface is not Ethernet, and after Close
}

func openSocket(on vrrp.Segment) (*socket, error) {
	s, err := vrrpsock.Open(on)
	if err != nil {
		return nil, err
	}
	// Elections work without claims, as they do on an interface that is not Ethernet.
	claims, err := neigh.Listen(on.Interface, on.Family)
	if err != nil {
		claims = nil
	}
	return &socket{Socket: s, claims: claims}, nil
}

// Close implements election.Socket.
func (s *socket) Close() error {
	s.mu.Lock()
	if s.claims != nil {
		s.claims.Close()
		s.claims = nil
	}
	s.mu.Unlock()
	return s.Socket.Close()
}

// Claims implements election.Socket.
func (s *socket) Claims(addresses []netip.Addr) []kernel.Claim {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.claims == nil {
		return nil
	}
	claims, _ := s.claims.Claims(addresses) // the VRRP socket reports an interface that is gone
	return claims
}
