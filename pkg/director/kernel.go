package director

import (
	"net/netip"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/election"
	"github.com/lvs-director/lvs-director/pkg/kernel/neigh"
	"github.com/lvs-director/lvs-director/pkg/kernel/vrrpsock"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// kernelWithin bounds one conversation with the kernel outside the loops.
const kernelWithin = 15 * time.Second

var errSocketNotPermitted = vrrpsock.ErrNotPermitted

// socket makes a vrrpsock.Socket an election.Socket.
type socket struct{ *vrrpsock.Socket }

func openSocket(iface string) (election.Socket, error) {
	s, err := vrrpsock.Open(iface)
	if err != nil {
		return nil, err
	}
	return socket{s}, nil
}

// Receive implements election.Socket.
func (s socket) Receive() (vrrp.Datagram, error) {
	d, err := s.Read()
	return vrrp.Datagram{Payload: d.Payload, Source: d.Source, Destination: d.Destination, TTL: d.TTL}, err
}

// announcer keeps one packet socket per interface, opened when it is first needed and again when it broke.
type announcer struct {
	mu   sync.Mutex
	open map[string]*neigh.Announcer
}

func newAnnouncer() *announcer { return &announcer{open: map[string]*neigh.Announcer{}} }

// Announce implements reconcile.Announcer.
func (a *announcer) Announce(iface string, vip netip.Addr) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	voice := a.open[iface]
	if voice == nil {
		var err error
		if voice, err = neigh.Open(iface); err != nil {
			return err
		}
		a.open[iface] = voice
	}
	err := voice.Announce(vip)
	if err != nil { // the interface may have been replaced by one of the same name
		_ = voice.Close()
		delete(a.open, iface)
	}
	return err
}

func (a *announcer) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, voice := range a.open {
		_ = voice.Close()
	}
}
