package director

import (
	"errors"
	"log/slog"
	"sync"

	"github.com/lvs-director/lvs-director/pkg/election"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/task"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// sockets are the VRRP sockets of a director, one per segment. All methods except snapshots and reopenOn are called only
// from the director's own goroutine.
type sockets struct {
	group *task.Group
	open  func(on vrrp.Segment) (election.Socket, error)
	log   *slog.Logger

	mu  sync.Mutex // guards all
	all map[vrrp.Segment]socket
}

type socket struct {
	link    *election.Link
	running *task.Running
	hearing *task.Running // the last one, which may have ended; nil: none
}

// add opens a socket. A missing interface is not an error, because it may appear later. A missing permission is an
// error.
func (s *sockets) add(on vrrp.Segment) error {
	l := election.NewLink(on, s.open, s.log)
	if err := l.Open(); errors.Is(err, kernel.ErrNotPermitted) {
		return err
	} else if err != nil {
		s.log.Error("cannot open the VRRP socket yet", "interface", on.String(), "error", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[on] = socket{link: l, running: s.group.Start(l)}
	return nil
}

// remove closes a socket; without one it does nothing.
func (s *sockets) remove(on vrrp.Segment) {
	s.mu.Lock()
	old, found := s.all[on]
	delete(s.all, on)
	s.mu.Unlock()
	if !found {
		return
	}
	old.running.Stop()
	if old.hearing != nil {
		old.hearing.Stop()
	}
}

// listen finds out by hear whether another machine can be heard on a segment whose link has come up.
func (s *sockets) listen(on vrrp.Segment, hear election.Hear) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, found := s.all[on]
	if found && one.link.Listen() {
		one.hearing = s.group.Start(election.NewHearing(one.link, hear))
		s.all[on] = one
	}
}

// reopen tells a socket that its interface has changed.
func (s *sockets) reopen(on vrrp.Segment) {
	if l := s.link(on); l != nil {
		l.Reopen()
	}
}

// reopenOn tells the sockets of an interface, or of all interfaces if it is "", that it was absent.
func (s *sockets) reopenOn(iface string) {
	s.mu.Lock()
	var links []*election.Link
	for on, one := range s.all {
		if iface == "" || on.Interface == iface {
			links = append(links, one.link)
		}
	}
	s.mu.Unlock()
	for _, l := range links {
		l.Reopen()
	}
}

// attach makes the actor the receiver of a virtual router's datagrams; nil detaches.
func (s *sockets) attach(on vrrp.Segment, vrid uint8, a *election.Actor) {
	if l := s.link(on); l != nil {
		l.Attach(vrid, a)
	}
}

func (s *sockets) link(on vrrp.Segment) *election.Link {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[on].link
}

// snapshots returns the states of all links.
func (s *sockets) snapshots() map[vrrp.Segment]election.LinkSnapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[vrrp.Segment]election.LinkSnapshot, len(s.all))
	for on, one := range s.all {
		all[on] = one.link.Snapshot()
	}
	return all
}
