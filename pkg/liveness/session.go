package liveness

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lvs-director/lvs-director/pkg/bfd"
	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/kernel/bfdsock"
	"github.com/lvs-director/lvs-director/pkg/task"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// Sender sends the packets of one session. It must not block.
type Sender interface {
	Send(payload []byte) error
	Close() error
}

// Desired is the desired state of a session.
type Desired struct {
	// Source is the address of this host from which the packets come; invalid if it has none on the interface.
	Source     netip.Addr
	Interval   time.Duration
	Multiplier uint8
	Passive    bool
}

func (d Desired) params() bfd.Params {
	return bfd.Params{MinTx: d.Interval, MinRx: d.Interval, Multiplier: d.Multiplier, Passive: d.Passive}
}

// Options are the settings of a Session; all fields are required unless marked optional.
type Options struct {
	Link      *Link
	Neighbour netip.Addr
	Desired   Desired
	Dial      func(on vrrp.Segment, source, neighbour netip.Addr) (Sender, error)
	// Changed is called for each change of state and must return soon: the session waits for it.
	Changed func(bfd.Change)
	// Suspended returns the total time for which the host has been suspended, which the monotonic clock does not count.
	// Optional.
	Suspended func() time.Duration
	Log       *slog.Logger
}

// Session runs one BFD session.
type Session struct {
	link      *Link
	neighbour netip.Addr
	dial      func(on vrrp.Segment, source, neighbour netip.Addr) (Sender, error)
	changed   func(bfd.Change)
	suspended func() time.Duration
	log       *slog.Logger

	epoch   time.Time
	slept   time.Duration // the result of suspended at epoch
	session *bfd.Session
	desired Desired
	sender  Sender
	dialled time.Time // the last attempt

	commands chan func()
	done     chan struct{}
	ready    task.Latch
	snapshot atomic.Pointer[Snapshot]

	since, down    time.Time // see Snapshot
	sent, received uint64
	sendError      string // why packets cannot be sent; "" if they can
	answer         string // what the neighbour's host answered to packets since it was last heard; "" if nothing
	published      time.Time

	mu      sync.Mutex // guards the fields below
	inbox   [][]byte
	dropped map[string]uint64
	wake    chan struct{} // has an element after a Deliver
}

const (
	// inboxLimit is how many packets are kept for a session that does not take them. A neighbour sends a few during a
	// stall; the newest are kept.
	inboxLimit = 32
	// redialEvery is the pause between attempts to open a socket.
	redialEvery = time.Second
	// publishEvery limits how old the counters of a Snapshot are.
	publishEvery = 250 * time.Millisecond
)

// New returns a session that does not run yet. Run starts it.
func New(o Options) *Session {
	p := o.Desired.params()
	p.Discriminator = 1 + rand.Uint32N(1<<32-1)
	a := &Session{
		link: o.Link, neighbour: o.Neighbour, dial: o.Dial, changed: o.Changed, suspended: o.Suspended,
		log:   o.Log.With("neighbour", o.Neighbour.String(), "interface", o.Link.on.Interface),
		epoch: time.Now(), since: time.Now(), down: time.Now(), session: bfd.NewSession(p), desired: o.Desired,
		commands: make(chan func(), 16), done: make(chan struct{}), dropped: map[string]uint64{}, wake: make(chan struct{}, 1),
	}
	if a.suspended == nil {
		a.suspended = func() time.Duration { return 0 }
	}
	a.slept = a.suspended()
	a.publish()
	return a
}

// Name implements task.Task.
func (a *Session) Name() string {
	return "the BFD session with " + a.neighbour.String() + " on " + a.link.on.Interface
}

// Ready is closed when the session runs.
func (a *Session) Ready() <-chan struct{} { return a.ready.Ready() }

// Run runs the session until ctx ends, then tells the neighbour that it is switched off (AdminDown), so that the
// neighbour does not take the end of this daemon for a failure.
func (a *Session) Run(ctx context.Context) error {
	defer close(a.done)
	heart := heartbeat.From(ctx)
	a.step(bfd.Tick{})
	a.ready.Close()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		heart.Beat()
		wait := heartbeat.Every
		if at, ok := a.session.Deadline(); ok {
			wait = min(wait, at-a.now())
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			heart.Stop()
			a.step(bfd.Disable{})
			a.hangUp()
			return nil
		case <-a.wake:
			a.receiveAll()
		case command := <-a.commands:
			command()
		case <-timer.C:
			a.drain()
			a.step(bfd.Tick{})
		}
	}
}

// Set changes the desired state.
func (a *Session) Set(d Desired) {
	command := func() {
		if d.Source != a.desired.Source {
			a.hangUp()
		}
		a.desired = d
		a.step(bfd.Reconfigure{Params: d.params()})
	}
	select {
	case a.commands <- command:
	case <-a.done:
	}
}

// Deliver passes the payload of a received datagram to the session. It never blocks.
func (a *Session) Deliver(payload []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.inbox = append(a.inbox, payload)
	if len(a.inbox) > inboxLimit {
		a.inbox = append(a.inbox[:0], a.inbox[1:]...)
		a.dropped["overflow"]++
	}
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// drop counts a packet of the neighbour that is ignored.
func (a *Session) drop(why bfd.DropReason) {
	a.mu.Lock()
	a.dropped[why.String()]++
	first := a.dropped[why.String()] == 1
	a.mu.Unlock()
	if first {
		a.log.Info("ignored a BFD packet; more are only counted", "reason", why.String())
	}
}

// drain receives every datagram that has reached this host: after a stall the packets received in the meantime decide,
// not the clock. The link's own goroutine may not have run yet, so the socket is read from here.
func (a *Session) drain() {
	if a.session.DrainFirst(a.now()) {
		a.link.Drain()
	}
	a.receiveAll()
}

// receiveAll processes the packets in the inbox.
func (a *Session) receiveAll() {
	a.mu.Lock()
	all := a.inbox
	a.inbox = nil
	a.mu.Unlock()
	for _, payload := range all {
		p, why := bfd.Parse(payload)
		if why == bfd.DropNone {
			why = a.session.Refuses(p)
		}
		if why != bfd.DropNone {
			a.drop(why)
			continue
		}
		a.received++
		a.answer = ""
		a.step(bfd.Received{Packet: p})
	}
}

// now is the session's clock. It includes the time for which this host was suspended, because the neighbour kept
// running.
func (a *Session) now() time.Duration { return time.Since(a.epoch) + a.suspended() - a.slept }

func (a *Session) step(ev bfd.Event) {
	was := a.session.State()
	for _, action := range a.session.Step(a.now(), rand.Float64(), ev) {
		switch action := action.(type) {
		case bfd.Send:
			a.send(action.Packet)
		case bfd.Change:
			a.since = time.Now()
			if action.From == bfd.Up {
				a.down = a.since
			}
			a.publish()
			a.changed(action)
		}
	}
	if a.session.State() != was || time.Since(a.published) >= publishEvery {
		a.publish()
	}
}

func (a *Session) send(p bfd.Packet) {
	err := a.call()
	if err == nil {
		err = a.sender.Send(p.Append(make([]byte, 0, bfd.Size)))
	}
	switch {
	case errors.Is(err, bfdsock.ErrRefused) || errors.Is(err, bfdsock.ErrUnreachable):
		// About an earlier packet; this one is sent.
		a.sent++
		a.answer, a.sendError = err.Error(), ""
	case err != nil:
		if text := err.Error(); text != a.sendError && (err != errLater || a.sendError == "") {
			a.sendError = text
			a.log.Warn("cannot send BFD packets", "error", err)
		}
		a.hangUp() // the interface may be another one
	default:
		a.sent++
		a.sendError = ""
	}
}

// errNoSource and errLater are why there is no socket to send from.
var (
	errNoSource = errors.New("the interface has no address of its own to send from")
	errLater    = errors.New("trying again soon")
)

// call opens the socket if there is none.
func (a *Session) call() error {
	switch {
	case a.sender != nil:
		return nil
	case !a.desired.Source.IsValid():
		return errNoSource
	case !a.dialled.IsZero() && time.Since(a.dialled) < redialEvery:
		return errLater
	}
	a.dialled = time.Now()
	sender, err := a.dial(a.link.on, a.desired.Source, a.neighbour)
	if err == nil {
		a.sender = sender
	}
	return err
}

func (a *Session) hangUp() {
	if a.sender != nil {
		_ = a.sender.Close() // nothing is lost: packets are not queued
		a.sender = nil
	}
}

// Snapshot returns the newest published view; it never waits.
func (a *Session) Snapshot() Snapshot { return *a.snapshot.Load() }

func (a *Session) publish() {
	a.published = time.Now()
	s := &Snapshot{
		State: a.session.State(), Diag: a.session.Diag(), EverUp: a.session.EverUp(), Failed: a.session.Failed(), Since: a.since,
		Interval: a.session.TxInterval(), DetectionTime: a.session.DetectionTime(), Source: a.desired.Source,
		Sent: a.sent, Received: a.received, SendError: cmp.Or(a.sendError, a.answer), Neighbour: a.neighbour,
	}
	if s.State != bfd.Up {
		s.DownSince = a.down
	}
	s.Remote, s.RemoteDiag, s.Heard = a.session.Remote()
	a.mu.Lock()
	s.Dropped = maps.Clone(a.dropped)
	a.mu.Unlock()
	a.snapshot.Store(s)
}
