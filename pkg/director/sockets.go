package director

import (
	"errors"
	"log/slog"
	"sync"

	"github.com/lvs-director/lvs-director/pkg/election"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/task"
)

// sockets are the VRRP sockets of a director, one an interface. All but snapshots belong to the director's own goroutine.
type sockets struct {
	group *task.Group
	open  func(iface string) (election.Socket, error)
	log   *slog.Logger

	mu  sync.Mutex // guards all
	all map[string]socket
}

type socket struct {
	link    *election.Link
	running *task.Running
}

// add opens a socket. An interface that is not there is no error: it may come. A socket that is not permitted is.
func (s *sockets) add(iface string) error {
	l := election.NewLink(iface, s.open, s.log)
	if err := l.Open(); errors.Is(err, kernel.ErrNotPermitted) {
		return err
	} else if err != nil {
		s.log.Warn("cannot open the VRRP socket yet", "interface", iface, "error", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[iface] = socket{l, s.group.Start(l)}
	return nil
}

// remove closes a socket; one that is not there is none.
func (s *sockets) remove(iface string) {
	s.mu.Lock()
	old, found := s.all[iface]
	delete(s.all, iface)
	s.mu.Unlock()
	if found {
		old.running.Stop()
	}
}

// reopen tells a socket that its interface changed.
func (s *sockets) reopen(iface string) {
	if l := s.link(iface); l != nil {
		l.Reopen()
	}
}

// attach makes the actor the receiver of a virtual router's datagrams; nil detaches.
func (s *sockets) attach(iface string, vrid uint8, a *election.Actor) {
	if l := s.link(iface); l != nil {
		l.Attach(vrid, a)
	}
}

func (s *sockets) link(iface string) *election.Link {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[iface].link
}

// snapshots are what all links say of themselves, by interface.
func (s *sockets) snapshots() map[string]election.LinkSnapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]election.LinkSnapshot, len(s.all))
	for name, one := range s.all {
		all[name] = one.link.Snapshot()
	}
	return all
}
