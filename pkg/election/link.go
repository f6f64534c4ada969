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
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/task"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// Socket is an open VRRP socket on one segment.
type Socket interface {
	Sender
	// Wait blocks until a datagram is queued, the socket is closed or broken, or heartbeat.Every has passed. It reads
	// nothing; ready says whether a datagram is queued.
	Wait() (ready bool, err error)
	// Pending reads the queued datagrams, oldest first, and does not block. They are valid until its next call.
	Pending() ([]vrrp.Datagram, error)
	// Rest is Wait for a reader who does not need each datagram at once: it returns after a time, or when a resignation or any
	// packet of the virtual routers awake has arrived, or after Wake. After an error, Wait may still work.
	Rest(longest time.Duration, awake []uint8) error
	// Wake ends a Rest in progress, or the next one. It does not block.
	Wake()
	// Join makes the socket a member of these multicast groups, and of no others.
	Join(groups []netip.Addr) error
	// Filter excludes packets of all virtual routers other than these, and those with a lower TTL, from Pending.
	Filter(vrids []uint8, leastTTL uint8) error
	// Others returns, without blocking, a sample of the packets that Filter excluded, and the number of further ones.
	Others() (seen []vrrp.Datagram, unseen uint64)
	// Claims returns, without blocking, the claims of other machines to these addresses since the last call.
	Claims(addresses []netip.Addr) []kernel.Claim
	Close() error
}

// ErrNoSocket is returned by Send on a link without an open socket.
var ErrNoSocket = errors.New("the VRRP socket is not open")

// Link handles the VRRP traffic of one segment: one interface in one address family. It opens the socket, reopens it
// when it breaks (the interface was removed and came back), and passes each datagram to the instance of its VRID.
type Link struct {
	on    vrrp.Segment
	open  func(on vrrp.Segment) (Socket, error)
	log   *slog.Logger
	poke  chan struct{}
	ready task.Latch

	reading   sync.Mutex // held from reading datagrams until they are delivered
	filtering sync.Mutex // held while the filter of the socket is set

	claiming  sync.Mutex // held while claims are read
	unclaimed time.Time  // when they were last read

	mu         sync.Mutex // guards all below
	socket     Socket
	actors     map[uint8]*Actor
	received   uint64
	dropped    map[string]uint64
	broken     string // why there is no socket; "" if there is one
	deaf       string // why the socket is not a member of a group of an instance; "" if it is
	replaced   bool   // Reopen has closed the socket
	wide       bool   // the filter could not be set
	floodMeter floodMeter
	listening  bool   // no other machine has been heard since the link came up,
	ups        uint64 // how often that has happened
	upAt       time.Time

	claimed time.Duration // since epoch: when claims were last read because an instance asked

	epoch   time.Time
	sampled time.Duration // since epoch; Run's own
	burst   time.Duration // how long gather waits; Run's own
	rests   rests
}

const (
	// reopenEvery limits the wait for an interface that comes back without an event.
	reopenEvery = time.Second
	// breaksWithin is the lifetime below which a broken socket is reopened only after a pause, so that sockets that
	// break at once cause no busy loop.
	breaksWithin = 100 * time.Millisecond
	// gatherFrom is the number of instances from which on adverts are read together.
	gatherFrom = 8
	// gatherMost is for how long the first of them waits at most. That much later a BACKUP notices a resignation.
	gatherMost = 5 * time.Millisecond
)

// NewLink returns a link without a socket.
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
	l.setFilter()
	return nil
}

// Attach makes the actor the receiver of the VRID's datagrams; nil detaches. The socket joins the groups of all actors
// and leaves others. Call it again when the transport of an actor has changed.
func (l *Link) Attach(vrid uint8, a *Actor) {
	l.mu.Lock()
	if a == nil {
		delete(l.actors, vrid)
	} else {
		l.actors[vrid] = a
	}
	l.mu.Unlock()
	l.setFilter()
}

// Reopen tells the link that the interface was absent or down, or is another one. The socket is replaced: an interface
// that left the network namespace and came back has lost the socket's membership in the multicast group, but not its
// index, so that the socket sends and receives nothing (net/ipv4/igmp.c, ip_mc_destroy_dev). The old socket is closed
// before the new one joins, because closing it leaves the group on behalf of whoever has joined since.
func (l *Link) Reopen() {
	l.mu.Lock()
	l.replaced = l.replaced || l.socket != nil
	l.mu.Unlock()
	l.shut()
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

// SendFrom implements Sender.
func (l *Link) SendFrom(from kernel.MAC, payload []byte, source, destination netip.Addr) error {
	l.mu.Lock()
	socket := l.socket
	l.mu.Unlock()
	if socket == nil {
		return ErrNoSocket
	}
	return socket.SendFrom(from, payload, source, destination)
}

// LinkSnapshot is the state of a link at one moment.
type LinkSnapshot struct {
	Received uint64            // datagrams
	Dropped  map[string]uint64 // those for no instance, by reason
	Broken   string            // why there is no socket; "" if there is one
	Deaf     string            // why it does not receive the adverts of a multicast group; "" if it does
	Flood    string            // describes a flood of packets for no instance; "" if there is none
}

// Snapshot returns the state of the link; it may be called from any goroutine.
func (l *Link) Snapshot() LinkSnapshot {
	l.mu.Lock()
	defer l.mu.Unlock()
	return LinkSnapshot{Received: l.received, Dropped: maps.Clone(l.dropped), Broken: l.broken, Deaf: l.deaf, Flood: l.floodMeter.sentence()}
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
		err := l.receive(socket)
		if err == nil {
			l.sample(socket)
		}
		if err != nil {
			if l.lost(ctx, err) && time.Since(opened) < breaksWithin {
				l.pause(ctx)
			}
		}
	}
	return nil
}

// Name implements task.Task.
func (l *Link) Name() string { return "the VRRP socket of " + l.on.String() }

// Ready is closed when the socket has been opened for the first time.
func (l *Link) Ready() <-chan struct{} { return l.ready.Ready() }

// lost handles an error of the socket, and reports whether it broke by itself.
func (l *Link) lost(ctx context.Context, err error) bool {
	l.mu.Lock()
	replaced := l.replaced
	l.replaced = false
	l.mu.Unlock()
	if replaced {
		return false
	}
	if ctx.Err() == nil {
		l.log.Warn("the VRRP socket broke; opening it again", "error", err)
	}
	l.shut()
	return true
}

// gather waits for the rest of a burst, if the segment has many instances: their MASTER sends their adverts one after the
// other, and a wake-up for each costs more CPU time than the advert itself. An instance whose timer expires meanwhile reads
// the socket first: see Drain.
func (l *Link) gather() {
	if l.burst > 0 {
		time.Sleep(l.burst)
	}
}

// gatherFor returns for how long gather waits: a twentieth of the shortest advert interval, at most gatherMost; 0 if the
// segment has few instances. mu is held.
func (l *Link) gatherFor() time.Duration {
	if len(l.actors) < gatherFrom {
		return 0
	}
	wait := gatherMost
	for _, a := range l.actors {
		wait = min(wait, a.View().AdvertInterval/20)
	}
	return wait
}

// receive waits for datagrams and delivers them. It returns after heartbeat.Every at the latest.
func (l *Link) receive(socket Socket) error {
	if length, awake := l.resting(socket); length > 0 {
		return l.rest(socket, length, awake)
	}
	l.setRest(0)
	ready, err := socket.Wait()
	if ready && err == nil {
		l.gather()
		_, err = l.take(socket)
	}
	return err
}

// take delivers the datagrams queued on the socket, and returns how many there were.
func (l *Link) take(socket Socket) (int, error) {
	l.reading.Lock()
	defer l.reading.Unlock()
	longest := l.longestAge()
	pending, err := socket.Pending()
	at := &moment{}
	for _, d := range pending {
		d.Age = min(d.Age, longest)
		l.route(d, at)
	}
	return len(pending), err
}

// Drain implements Wire: when it returns, every datagram that had reached this host by the time of the call has been
// delivered.
func (l *Link) Drain() {
	l.mu.Lock()
	socket := l.socket
	l.mu.Unlock()
	if socket != nil {
		_, _ = l.take(socket) // Run handles a broken socket
	}
}

func (l *Link) reopen(ctx context.Context) {
	if err := l.Open(); err == nil {
		l.log.Info("the VRRP socket is open")
		return
	}
	l.pause(ctx)
}

// pause waits before the next attempt.
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
		_ = socket.Close() // nothing is lost: adverts are not queued
	}
}

// route delivers a datagram. The lock is not held meanwhile: an actor may send.
func (l *Link) route(d vrrp.Datagram, at *moment) {
	actor, others := l.receivers(d)
	if actor != nil {
		actor.deliver(d, at)
	}
	for _, other := range others {
		other.deliver(d, at)
	}
}

// receivers returns the instance that a datagram is for. If there is none, it counts the datagram, and returns the instances
// whose VIPs an advert of another virtual router lists.
func (l *Link) receivers(d vrrp.Datagram) (actor *Actor, others []*Actor) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.received++
	if len(d.Payload) < 2 {
		l.drop(vrrp.DropLength, d)
		return nil, nil
	}
	if actor = l.actors[d.Payload[1]]; actor != nil {
		return actor, nil
	}
	l.drop(vrrp.DropVRID, d)
	advert, invalid := vrrp.Parse(d.Payload, d.Source, d.Destination)
	if invalid != vrrp.DropNone {
		return nil, nil
	}
	for _, a := range l.actors {
		if a.lists(advert.Addresses) {
			others = append(others, a)
		}
	}
	return nil, others
}

func (l *Link) drop(reason vrrp.DropReason, d vrrp.Datagram) {
	name := reason.String()
	l.dropped[name]++
	who := suspect{source: d.Source, reason: name}
	if len(d.Payload) > 1 {
		who.vrid = d.Payload[1]
	}
	l.floodMeter.add(time.Since(l.epoch), 1, who)
	l.log.Debug("ignored a VRRP packet", "reason", name, "source", d.Source, "vrid", who.vrid)
	if l.dropped[name] == 1 {
		l.log.Info("ignored a VRRP packet for no instance of ours; more are only counted",
			"reason", name, "source", d.Source.String())
	}
}
