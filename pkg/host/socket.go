package host

import (
	"net/netip"
	"sync"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/neigh"
	"github.com/lvs-director/lvs-director/pkg/kernel/vrrpsock"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// socket is the VRRP socket of a segment, and what the machines there claim. Both have the lifetime of the interface.
type socket struct {
	*vrrpsock.Socket
	claims claims
}

func openSocket(on vrrp.Segment) (*socket, error) {
	s, err := vrrpsock.Open(on)
	if err != nil {
		return nil, err
	}
	return &socket{s, claims{listen: func(family kernel.Family) (listener, error) { return neigh.Listen(on.Interface, family) }}}, nil
}

// Close implements election.Socket.
func (s *socket) Close() error {
	s.claims.close()
	return s.Socket.Close()
}

// Claims implements election.Socket.
func (s *socket) Claims(addresses []netip.Addr) []kernel.Claim { return s.claims.of(addresses) }

// listener receives the claims of one family on an interface.
type listener interface {
	Claims(addresses []netip.Addr) ([]kernel.Claim, error)
	Close()
}

// claims are the listeners of an interface: one for each family of the VIPs, because an instance may hold VIPs of both.
type claims struct {
	listen func(family kernel.Family) (listener, error)

	mu     sync.Mutex // guards all below
	all    map[kernel.Family]listener
	closed bool
}

// of returns the claims to addresses since the last call. Elections work without claims, as on an interface that is not
// Ethernet, and the VRRP socket reports an interface that is gone: so a listener that cannot be opened is not tried again.
func (c *claims) of(addresses []netip.Addr) (found []kernel.Claim) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	if c.all == nil {
		c.all = map[kernel.Family]listener{}
	}
	for _, a := range addresses {
		family := kernel.FamilyOf(a)
		if _, tried := c.all[family]; !tried {
			l, err := c.listen(family)
			if err != nil {
				l = nil
			}
			c.all[family] = l
		}
	}
	for _, l := range c.all {
		if l != nil {
			some, _ := l.Claims(addresses)
			found = append(found, some...)
		}
	}
	return found
}

func (c *claims) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for family, l := range c.all {
		if l != nil {
			l.Close()
		}
		delete(c.all, family)
	}
}
