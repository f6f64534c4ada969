package liveness

import (
	"context"
	"log/slog"
	"maps"
	"net/netip"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/bfd"
	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/kernel/bfdsock"
	"github.com/lvs-director/lvs-director/pkg/task"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// Listener is an open socket for the packets of one segment.
type Listener interface {
	// Wait blocks until a datagram is queued, the socket is closed or broken, or heartbeat.Every has passed. It reads
	// nothing; ready says whether a datagram is queued.
	Wait() (ready bool, err error)
	// Pending reads the queued datagrams, oldest first, and does not block.
	Pending() ([]bfdsock.Datagram, error)
	Close() error
}

// Link receives the packets of all sessions on one segment and passes each to the session with its source address. It
// opens the socket, and opens it again when it breaks.
type Link struct {
	on    vrrp.Segment
	open  func(vrrp.Segment) (Listener, error)
	log   *slog.Logger
	ready task.Latch

	reading sync.Mutex // held from reading datagrams until they are delivered

	mu       sync.Mutex // guards all below
	socket   Listener
	broken   string // why there is no socket; "" if there is one
	sessions map[netip.Addr]*Session
	dropped  map[string]uint64
}

// reopenEvery is the pause between attempts to open a socket.
const reopenEvery = time.Second

// NewLink returns a link without a socket.
func NewLink(on vrrp.Segment, open func(vrrp.Segment) (Listener, error), log *slog.Logger) *Link {
	return &Link{
		on: on, open: open, log: log.With("interface", on.String()), broken: "not opened yet", sessions: map[netip.Addr]*Session{}, dropped: map[string]uint64{},
	}
}

// Attach makes the session the receiver of the packets of its neighbour.
func (l *Link) Attach(a *Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sessions[a.neighbour] = a
}

// Detach undoes Attach, and reports whether no session is left.
func (l *Link) Detach(neighbour netip.Addr) (idle bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.sessions, neighbour)
	return len(l.sessions) == 0
}

// Broken returns why there is no socket; "" if there is one.
func (l *Link) Broken() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.broken
}

// Dropped counts the packets for no session, by bfd.DropReason.
func (l *Link) Dropped() map[string]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.dropped)
}

// Name implements task.Task.
func (l *Link) Name() string { return "the BFD socket of " + l.on.String() }

// Ready is closed when the first attempt to open the socket has ended.
func (l *Link) Ready() <-chan struct{} { return l.ready.Ready() }

// Run receives until ctx ends.
func (l *Link) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, l.shut)
	defer stop()
	defer l.shut()
	heart := heartbeat.From(ctx)
	defer heart.Stop()
	var tried time.Time // when the socket was last to be opened
	for ctx.Err() == nil {
		heart.Beat()
		socket := l.current()
		if socket == nil { // one that breaks at once must not keep a processor busy
			task.Pause(ctx, time.Until(tried.Add(reopenEvery)))
			if ctx.Err() == nil {
				tried = time.Now()
				l.reopen()
			}
			continue
		}
		ready, err := socket.Wait()
		if ready && err == nil {
			err = l.take(socket)
		}
		if err != nil && ctx.Err() == nil {
			l.log.Warn("the BFD socket broke; opening it again", "error", err)
			l.shut()
		}
	}
	return nil
}

func (l *Link) current() Listener {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.socket
}

// reopen opens the socket, if that is possible.
func (l *Link) reopen() {
	defer l.ready.Close()
	socket, err := l.open(l.on)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		if text := err.Error(); text != l.broken {
			l.broken = text
			l.log.Error("cannot receive BFD packets", "error", err)
		}
		return
	}
	l.socket, l.broken = socket, ""
}

// shut closes the socket; a second call does nothing.
func (l *Link) shut() {
	l.mu.Lock()
	socket := l.socket
	l.socket = nil
	if l.broken == "" {
		l.broken = "closed"
	}
	l.mu.Unlock()
	if socket != nil {
		_ = socket.Close() // nothing is lost: packets that arrive later are of no use
	}
}

// Drain delivers to the sessions every datagram that has reached this host and has not been delivered yet. It does not
// block.
func (l *Link) Drain() {
	if socket := l.current(); socket != nil {
		_ = l.take(socket) // Run handles a broken socket
	}
}

func (l *Link) take(socket Listener) error {
	l.reading.Lock()
	defer l.reading.Unlock()
	pending, err := socket.Pending()
	for _, d := range pending {
		l.route(d)
	}
	return err
}

// route passes a datagram to its session. The TTL is checked first: only then the packet is from this link (RFC 5881
// section 5).
func (l *Link) route(d bfdsock.Datagram) {
	l.mu.Lock()
	defer l.mu.Unlock()
	session, why := l.sessions[d.Source], bfd.DropNone
	switch {
	case d.TTL != bfd.TTL:
		why = bfd.DropTTL
	case session == nil:
		why = bfd.DropNeighbour
	}
	if why == bfd.DropNone {
		session.Deliver(d.Payload)
		return
	}
	if session != nil {
		session.drop(why)
		return
	}
	l.dropped[why.String()]++
	if l.dropped[why.String()] == 1 {
		l.log.Info("ignored a BFD packet for no session of ours; more are only counted", "reason", why.String(), "source", d.Source.String())
	}
}
