package election

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/netip"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/task"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// Socket is an open VRRP socket on one segment.
type Socket interface {
	Sender
	// Wait blocks until a datagram is there, the socket is closed or broken, or for heartbeat.Every. It takes nothing; ready
	// says whether there is a datagram.
	Wait() (ready bool, err error)
	// Pending takes what is there, oldest first, and does not block.
	Pending() ([]vrrp.Datagram, error)
	// Filter keeps packets of other virtual routers than these from Pending.
	Filter(vrids []uint8) error
	// Others gives without waiting a sample of what Filter kept back, and how many more packets there were.
	Others() (seen []vrrp.Datagram, unseen uint64)
	Close() error
}

// ErrNoSocket is what sending on a link without an open socket returns.
var ErrNoSocket = errors.New("the VRRP socket is not open")

// Link is the VRRP traffic of one segment: of one interface in one address family. It opens the socket, opens it again when it breaks (the interface went away
// and came back), and hands each datagram to the instance of its VRID.
type Link struct {
	on    vrrp.Segment
	open  func(on vrrp.Segment) (Socket, error)
	log   *slog.Logger
	poke  chan struct{}
	ready task.Latch

	reading   sync.Mutex // held from the taking of datagrams to their delivery
	narrowing sync.Mutex // held while the socket is told what to keep out

	mu       sync.Mutex // guards all below
	socket   Socket
	actors   map[uint8]*Actor
	received uint64
	dropped  map[string]uint64
	broken   string // why there is no socket; "" when there is one
	wide     bool   // the socket could not be told which virtual routers are ours
	crowd    crowd

	epoch   time.Time
	sampled time.Duration // since epoch; Run's own
}

const (
	// reopenEvery bounds the wait for an interface of which no event tells that it is there again.
	reopenEvery = time.Second
	// breaksWithin is the life of a socket after which the next one waits, so that sockets that break at once are no
	// busy loop.
	breaksWithin = 100 * time.Millisecond
)

// NewLink makes a link without a socket.
func NewLink(on vrrp.Segment, open func(on vrrp.Segment) (Socket, error), log *slog.Logger) *Link {
	return &Link{
		on: on, open: open, log: log.With("interface", on.String()), poke: make(chan struct{}, 1),
		actors: map[uint8]*Actor{}, dropped: map[string]uint64{}, broken: "not opened yet", epoch: time.Now(),
	}
}

// Open opens the socket once, so that a start without the needed privilege fails at once instead of being retried.
func (l *Link) Open() error {
	socket, err := l.open(l.on)
	l.mu.Lock()
	if err != nil {
		l.broken = err.Error()
		l.mu.Unlock()
		return err
	}
	l.socket, l.broken = socket, ""
	l.mu.Unlock()
	l.ready.Close()
	l.narrow()
	return nil
}

// Attach makes the actor the receiver of the VRID's datagrams; nil detaches.
func (l *Link) Attach(vrid uint8, a *Actor) {
	l.mu.Lock()
	if a == nil {
		delete(l.actors, vrid)
	} else {
		l.actors[vrid] = a
	}
	l.mu.Unlock()
	l.narrow()
}

// Reopen tells the link that the interface changed, so that a broken socket is tried again at once.
func (l *Link) Reopen() {
	select {
	case l.poke <- struct{}{}:
	default:
	}
}

// Send implements Sender.
func (l *Link) Send(payload []byte, source, destination netip.Addr) error {
	l.mu.Lock()
	socket := l.socket
	l.mu.Unlock()
	if socket == nil {
		return ErrNoSocket
	}
	return socket.Send(payload, source, destination)
}

// LinkSnapshot is what a link says of itself at one moment.
type LinkSnapshot struct {
	Received uint64            // datagrams
	Dropped  map[string]uint64 // those that were for no instance, by reason
	Broken   string            // why there is no socket; "" when there is one
	Flood    string            // a sentence about packets for no instance that pour in; "" when they do not
}

// Snapshot returns how the link stands; any goroutine may ask.
func (l *Link) Snapshot() LinkSnapshot {
	l.mu.Lock()
	defer l.mu.Unlock()
	return LinkSnapshot{Received: l.received, Dropped: maps.Clone(l.dropped), Broken: l.broken, Flood: l.crowd.sentence()}
}

// Run receives until ctx ends.
func (l *Link) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, l.shut)
	defer stop()
	defer l.shut()
	heart := heartbeat.From(ctx)
	defer heart.Stop()
	opened := time.Now()
	for ctx.Err() == nil {
		l.mu.Lock()
		socket := l.socket
		l.mu.Unlock()
		if socket == nil {
			l.reopen(ctx)
			opened = time.Now()
			continue
		}
		heart.Beat()
		ready, err := socket.Wait()
		if ready && err == nil {
			err = l.take(socket)
		}
		if err == nil {
			l.sample(socket)
		}
		if err != nil {
			if ctx.Err() == nil {
				l.log.Warn("the VRRP socket broke; opening it again", "error", err)
			}
			l.shut()
			if time.Since(opened) < breaksWithin {
				l.pause(ctx)
			}
		}
	}
	return nil
}

// Name implements task.Task.
func (l *Link) Name() string { return "the VRRP socket of " + l.on.String() }

// Ready is closed when the socket was open for the first time.
func (l *Link) Ready() <-chan struct{} { return l.ready.Ready() }

// take delivers what is queued on the socket.
func (l *Link) take(socket Socket) error {
	l.reading.Lock()
	defer l.reading.Unlock()
	pending, err := socket.Pending()
	for _, d := range pending {
		l.route(d)
	}
	return err
}

// Drain implements Wire: when it returns, everything that had reached this machine by the time of the call is delivered.
func (l *Link) Drain() {
	l.mu.Lock()
	socket := l.socket
	l.mu.Unlock()
	if socket != nil {
		_ = l.take(socket) // Run sees to a broken socket
	}
}

func (l *Link) reopen(ctx context.Context) {
	if err := l.Open(); err == nil {
		l.log.Info("the VRRP socket is open")
		return
	}
	l.pause(ctx)
}

// pause waits for the next try.
func (l *Link) pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-l.poke:
	case <-time.After(reopenEvery):
	}
	heartbeat.From(ctx).Beat()
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
		_ = socket.Close() // nothing is lost with it: adverts are not queued
	}
}

func (l *Link) route(d vrrp.Datagram) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.received++
	if len(d.Payload) < 2 {
		l.drop(vrrp.DropLength, d)
		return
	}
	actor := l.actors[d.Payload[1]]
	if actor == nil {
		l.drop(vrrp.DropVRID, d)
		return
	}
	actor.Deliver(d)
}

func (l *Link) drop(reason vrrp.DropReason, d vrrp.Datagram) {
	name := reason.String()
	l.dropped[name]++
	who := suspect{source: d.Source, reason: name}
	if len(d.Payload) > 1 {
		who.vrid = d.Payload[1]
	}
	l.crowd.add(time.Since(l.epoch), 1, who)
	if l.dropped[name] == 1 {
		l.log.Info("ignored a VRRP packet for no instance of ours; more are only counted",
			"reason", name, "source", d.Source.String())
	}
}
