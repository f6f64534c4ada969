package director

import (
	"net/netip"
	"time"

	"github.com/lvs-director/lvs-director/pkg/election"
	"github.com/lvs-director/lvs-director/pkg/kernel/neigh"
	"github.com/lvs-director/lvs-director/pkg/kernel/vrrpsock"
)

// kernelWithin bounds one conversation with the kernel outside the loops.
const kernelWithin = 15 * time.Second

func openSocket(iface string) (election.Socket, error) {
	s, err := vrrpsock.Open(iface)
	if err != nil { // and not a nil *Socket in an interface
		return nil, err
	}
	return s, nil
}

// voice is a socket that sends gratuitous ARP on one interface.
type voice interface {
	Announce(vip netip.Addr) error
	Close() error
}

// announcer keeps one voice per interface. It belongs to the address loop.
type announcer struct {
	open   func(iface string) (voice, error)
	voices map[string]voice
}

func newAnnouncer() *announcer {
	return &announcer{
		open:   func(iface string) (voice, error) { return neigh.Open(iface) },
		voices: map[string]voice{},
	}
}

// Announce implements reconcile.Announcer. A socket that was opened earlier may belong to an interface that has been
// replaced by one of the same name: then the announcement goes out of a new one, and not only with the next repetition.
func (a *announcer) Announce(iface string, vip netip.Addr) error {
	for {
		v, kept := a.voices[iface]
		if !kept {
			var err error
			if v, err = a.open(iface); err != nil {
				return err
			}
			a.voices[iface] = v
		}
		err := v.Announce(vip)
		if err == nil {
			return nil
		}
		_ = v.Close()
		delete(a.voices, iface)
		if !kept {
			return err
		}
	}
}

func (a *announcer) close() {
	for _, v := range a.voices {
		_ = v.Close()
	}
}
