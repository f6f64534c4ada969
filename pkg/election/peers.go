package election

import (
	"net/netip"
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// UnicastPeer is a router to which adverts are sent by unicast.
type UnicastPeer struct {
	Address netip.Addr
	// Heard is when the last advert of it was received, also one that was refused; zero if there has been none since this
	// peer was configured. A peer that is not MASTER sends none.
	Heard time.Time
}

// hear notes an advert of a unicast peer.
func (a *Actor) hear(h vrrp.Heard) {
	if !a.peers.Transport.Unicast || h.Standing != vrrp.Obeyed && h.Standing != vrrp.Refused {
		return
	}
	if a.heard == nil {
		a.heard = map[netip.Addr]time.Time{}
	}
	a.heard[h.Source] = time.Now()
}

// forgetPeers drops the routers that are no longer peers.
func (a *Actor) forgetPeers() {
	for address := range a.heard {
		if t := a.peers.Transport; !t.Unicast || !slices.Contains(t.Peers, address) {
			delete(a.heard, address)
		}
	}
}

// peersHeard returns the unicast peers, in the order of the cluster file; none with multicast.
func (a *Actor) peersHeard() []UnicastPeer {
	if !a.peers.Transport.Unicast {
		return nil
	}
	all := make([]UnicastPeer, 0, len(a.peers.Transport.Peers))
	for _, address := range a.peers.Transport.Peers {
		all = append(all, UnicastPeer{Address: address, Heard: a.heard[address]})
	}
	return all
}
