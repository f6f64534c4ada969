package host

import (
	"net/netip"

	"github.com/lvs-director/lvs-director/pkg/kernel/neigh"
)

// announcements sends announcements of VIPs on one interface.
type announcements interface {
	Announce(vip netip.Addr) error
	Ask(vip netip.Addr) error
	Close() error
}

// announcer keeps one socket per interface. It is used only by the address loop.
type announcer struct {
	open    func(iface string) (announcements, error)
	sockets map[string]announcements
}

func newAnnouncer() *announcer {
	return &announcer{
		open:    func(iface string) (announcements, error) { return neigh.Open(iface) },
		sockets: map[string]announcements{},
	}
}

// Open implements reconcile.Announcer.
func (a *announcer) Open(iface string) error {
	_, err := a.socket(iface)
	return err
}

// Announce implements reconcile.Announcer.
func (a *announcer) Announce(iface string, vip netip.Addr) error {
	return a.send(iface, func(s announcements) error { return s.Announce(vip) })
}

// Ask implements reconcile.Announcer.
func (a *announcer) Ask(iface string, vip netip.Addr) error {
	return a.send(iface, func(s announcements) error { return s.Ask(vip) })
}

// send sends something out of an interface. An open socket may belong to an interface that has been replaced by one of
// the same name: then it is sent at once on a new socket instead of waiting for the next repetition.
func (a *announcer) send(iface string, what func(announcements) error) error {
	for {
		_, kept := a.sockets[iface]
		v, err := a.socket(iface)
		if err != nil {
			return err
		}
		if err = what(v); err == nil {
			return nil
		}
		_ = v.Close()
		delete(a.sockets, iface)
		if !kept {
			return err
		}
	}
}

// socket returns the socket of an interface, and opens it if there is none.
func (a *announcer) socket(iface string) (announcements, error) {
	if v, kept := a.sockets[iface]; kept {
		return v, nil
	}
	v, err := a.open(iface)
	if err == nil {
		a.sockets[iface] = v
	}
	return v, err
}

// Close closes all sockets.
func (a *announcer) Close() error {
	for _, v := range a.sockets {
		_ = v.Close() // nothing is lost: frames that were sent are not affected
	}
	return nil
}
