package host

import (
	"net/netip"

	"github.com/lvs-director/lvs-director/pkg/kernel/neigh"
)

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

// Close lets all sockets go.
func (a *announcer) Close() error {
	for _, v := range a.voices {
		_ = v.Close() // what was sent is sent
	}
	return nil
}
