package syncpeers

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/connsync"
	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/kernel/syncsock"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/syncmsg"
	"github.com/lvs-director/lvs-director/pkg/task"
)

// Socket sends and receives synchronization messages. See syncsock.Socket.
type Socket interface {
	Receive(until time.Time) ([]syncsock.Datagram, error)
	Send(payload []byte) error
	Close() error
}

// Options are the dependencies of a Loop; all are required.
type Options struct {
	Open func(at syncsock.Address) (Socket, error)
	// Connections calls each for every open connection of the kernel's table, until ctx ends. It is called by one goroutine at
	// a time, which is not that of Run.
	Connections func(ctx context.Context, each func(lvs.Connection)) error
	// States is like it for every connection, with its state; see ipvs.States. It is called beside Connections.
	States func(ctx context.Context, each func(c lvs.Connection, state string)) error
	// Changed is called when Cold may have changed. It must not block.
	Changed func()
	Random  func() float64 // in [0, 1), each as likely
	Log     *slog.Logger
}

// Wanted is what a Loop does. It does nothing with the zero value.
type Wanted struct {
	At    syncsock.Address
	Bound string // to what the socket is bound besides At; it is opened again if that changes
	ID    uint8  // of the cluster; 0: every id is heard
	// MaxLen is the size of the largest datagram to send, in bytes; Receives that of the largest one which the daemon of the
	// kernel takes.
	MaxLen, Receives int
}

// Served says what this director does with the connections to a virtual server.
type Served struct {
	Known    bool // it is of the cluster file, and on an address of an instance
	Held     bool // this director holds the address
	Instance config.InstanceID
	Forward  config.Forward
	// Persistence is for how long a client stays on its server; 0: it does not.
	Persistence time.Duration
	Mark        uint32 // its firewall mark; 0: none
	// Others are the forwarding methods of real servers that have another one; with port 0 for every port.
	Others map[netip.AddrPort]config.Forward
}

// To returns the forwarding method of a real server; it may be in the file no longer.
func (s Served) To(server netip.AddrPort) config.Forward {
	for _, at := range [...]netip.AddrPort{server, netip.AddrPortFrom(server.Addr(), 0)} {
		if other, has := s.Others[at]; has {
			return other
		}
	}
	return s.Forward
}

// Role says what this director does at the moment.
type Role struct {
	Master bool // it holds a virtual address
	// Sends and Learns say which daemons of the kernel it runs: it takes part in what they do, no more.
	Sends, Learns bool
	// Turn is another number when the virtual addresses that it holds, or serves, are others.
	Turn uint64
}

// Ask are questions about this director. They must not block.
type Ask struct {
	// Served is asked by any goroutine, in each reading for each protocol, virtual address and real server that has connections;
	// Client is the zero value.
	Served func(c lvs.Connection) Served
	Role   func() Role
}

// Loop is the loop. Set and Snapshot may be called from any goroutine.
type Loop struct {
	o     Options
	run   uint32
	dirty chan struct{}
	ready task.Latch
	mover mover

	mu    sync.Mutex // guards all below
	want  Wanted
	ask   Ask
	shown Snapshot
	open  Socket

	// Used only by the goroutine of Run.
	at    Wanted // of the open socket
	tried time.Time
	tell  time.Time // when the next note is due
	peers *connsync.Peers
	reader
	queue []syncmsg.Connection // to send again
}

// Snapshot is a Loop at one moment.
type Snapshot struct {
	Running  bool      // something is wanted
	Failed   string    // why nothing can be sent or received, or the connections are not known; "" if all is well
	Cold     bool      // see connsync.Peers.Cold
	Read     time.Time // when the reading of the connections that the numbers are from began; zero: they are not known
	Took     time.Duration
	Held     int       // settled connections to virtual addresses that this director holds
	Others   int       // connections to the other ones
	Compared time.Time // when the reading began that was last compared with those of MASTERs; zero: none
	// Uncompared is since when nothing could be compared although there is a MASTER; zero: it could, or has not been tried for long.
	Uncompared time.Time
	Lacking    int       // connections of MASTERs that this director lacked then
	Since      time.Time // since when it has lacked any
	Silent     time.Time // since when nothing was heard that should have been heard
	Strange    connsync.Strange
	TooLong    netip.Addr // who has sent a message that the kernel does not receive; invalid: nobody
	Longest    int
	Again      uint64 // connections that were sent again
	Peers      map[netip.Addr]connsync.Peer
}

const (
	tellEvery = time.Second
	// reopenEvery is the pause between attempts to open the socket.
	reopenEvery = time.Second
	// burst is the number of datagrams after which a pause of burstPause follows, so that they fit into the receiver's buffer.
	burst      = 16
	burstPause = 2 * time.Millisecond
)

// New returns a loop that does nothing yet.
func New(o Options) *Loop {
	return &Loop{o: o, run: rand.Uint32(), dirty: make(chan struct{}, 1), mover: mover{wake: make(chan struct{}, 1), pending: map[config.InstanceID]bool{}}}
}

// Set makes this what is to be done.
func (l *Loop) Set(w Wanted, ask Ask) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.want, l.ask = w, ask
	if running := w != (Wanted{}); running != l.shown.Running {
		l.shown = Snapshot{Running: running, Cold: running}
	}
	select {
	case l.dirty <- struct{}{}:
	default:
	}
}

// Snapshot returns the state.
func (l *Loop) Snapshot() Snapshot {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.shown
}

// Name implements task.Task.
func (l *Loop) Name() string { return "the loop of the connections of other directors" }

// Ready is closed when the loop is running.
func (l *Loop) Ready() <-chan struct{} { return l.ready.Ready() }

// Run works until ctx ends. It returns nil.
func (l *Loop) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, l.shut)
	defer stop()
	defer l.shut()
	heart := heartbeat.From(ctx)
	defer heart.Stop()
	var moves sync.WaitGroup
	moves.Go(func() { l.move(ctx) })
	defer moves.Wait()
	l.ready.Close()
	for ctx.Err() == nil {
		heart.Beat()
		socket, want, ask := l.current()
		if want != l.at || socket == nil {
			l.reopen(ctx, want)
			continue
		}
		err := l.receive(socket)
		if err != nil && ctx.Err() == nil {
			l.fail(err)
			l.shut()
			continue
		}
		l.step(ctx, socket, ask)
	}
	return nil
}

func (l *Loop) current() (Socket, Wanted, Ask) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open, l.want, l.ask
}

// shut closes the socket. Nobody waits meanwhile for mu, which the elections take: leaving a group can take long.
func (l *Loop) shut() {
	l.mu.Lock()
	socket := l.open
	l.open = nil
	l.mu.Unlock()
	if socket != nil {
		_ = socket.Close()
	}
}

// fail shows and logs why the loop does not work.
func (l *Loop) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if text := err.Error(); text != l.shown.Failed {
		l.shown.Failed = text
		l.complain(text)
	}
}

// reopen opens a socket for what is wanted now, or waits until something else is wanted.
func (l *Loop) reopen(ctx context.Context, want Wanted) {
	l.shut()
	fresh := want.At != l.at.At || want.ID != l.at.ID || l.peers == nil
	if want == (Wanted{}) {
		l.at, l.peers = want, nil
		l.pause(ctx, heartbeat.Until(time.Now(), heartbeat.Every))
		return
	}
	if want == l.at { // the socket broke
		l.pause(ctx, time.Until(l.tried.Add(reopenEvery)))
	}
	if ctx.Err() != nil {
		return
	}
	l.tried, l.at, l.tell = time.Now(), want, time.Now()
	if fresh {
		l.peers = connsync.NewPeers(time.Now(), want.ID)
		l.forget()
	}
	socket, err := l.o.Open(want.At)
	if err != nil {
		l.fail(err)
		return
	}
	l.mu.Lock()
	l.open = socket
	l.mu.Unlock()
	if ctx.Err() != nil { // since before it could be shut
		l.shut()
	}
}

func (l *Loop) pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-l.dirty:
	}
}

func (l *Loop) receive(socket Socket) error {
	until := earlier(l.tell, time.Now().Add(heartbeat.Until(time.Now(), heartbeat.Every)))
	if !l.busy {
		until = earlier(until, l.due)
	}
	all, err := socket.Receive(until)
	now := time.Now()
	for _, d := range all {
		l.peers.Hear(now, d.Source, d.Size, d.Payload)
	}
	return err
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// step reads the connections when that is due, and tells the others of the last reading: at once, and then every second. After
// an error the next reading tries again: the socket stays open.
func (l *Loop) step(ctx context.Context, socket Socket, ask Ask) {
	role := ask.Role()
	if role != l.role {
		l.forget()
		l.peers.Unread()
		l.role, l.queue = role, nil
	}
	now := time.Now()
	if !l.busy && !now.Before(l.due) {
		l.begin(ctx, l.o.Connections, ask, l.need(now), connsync.Pace{Others: l.peers.Slowest(now, readWithin), Master: role.Master, Random: l.o.Random()})
	}
	read := l.await(ctx)
	if read {
		l.take()
		l.peers.Read(l.sends())
		l.queue = append(l.queue, l.entries()...)
	}
	if now = time.Now(); !read && now.Before(l.tell) {
		return
	}
	l.tell = now.Add(tellEvery)
	if role.Learns {
		l.peers.Compare(now)
	} else {
		l.peers.Unlearning()
	}
	blind := l.need(now).Blind // also what each of the others lacks
	err := socket.Send(l.note(now).Append(nil))
	sent := 0
	if err == nil {
		sent, err = l.send(socket)
	}
	l.publish(now, sent, blind, err)
}

// need returns what this director sends again.
func (l *Loop) need(now time.Time) connsync.Need {
	need := l.peers.Need(now)
	if !l.role.Sends {
		return connsync.Need{}
	}
	return need
}

// sends returns the last reading, with the connections that the others can have of this director: none without the daemon that
// sends them.
func (l *Loop) sends() connsync.Reading {
	own := l.last
	if !l.role.Sends {
		own.Held = syncmsg.Counts{}
	}
	return own
}

// note returns what the others are told.
func (l *Loop) note(now time.Time) *syncmsg.Note {
	n := &syncmsg.Note{ID: l.at.ID, Run: l.run, Master: l.role.Master && l.role.Sends, Uncounted: !l.counted()}
	if own := l.sends(); !n.Uncounted {
		n.Held, n.Others, n.Reading = own.Held, own.Others, own.Number
		n.Begun, n.Ended, n.Settled = now.Sub(own.Begun), now.Sub(own.Ended), now.Sub(own.Settled)
	}
	return n
}

// entries returns the connections of the last reading that are to be sent again.
func (l *Loop) entries() (all []syncmsg.Connection) {
	for _, c := range l.again {
		s := l.known[endsOf(c)]
		if e, can := connsync.Entry(c, s.To(c.Server), s.Persistence); can {
			e.Mark = s.Mark
			all = append(all, e)
		}
	}
	l.again = nil
	return all
}

// send sends connections again, as many as in a second.
func (l *Loop) send(socket Socket) (int, error) {
	now := l.queue[:min(len(l.queue), connsync.Rate)]
	if l.queue = l.queue[len(now):]; len(l.queue) == 0 {
		l.queue = nil
	}
	if err := transmit(socket, l.at, now); err != nil {
		return 0, err
	}
	return len(now), nil
}

func (l *Loop) publish(now time.Time, sent int, blind bool, failed error) {
	s := Snapshot{
		Running: true, Cold: l.peers.Cold(), Read: l.last.Begun, Took: l.last.Ended.Sub(l.last.Begun), Compared: l.peers.Compared(),
		Held: l.last.Held.Total(), Others: l.last.Others.Total(), Silent: l.peers.Silent(now),
		Strange: l.peers.Strange(), Peers: l.peers.All(), Failed: l.late(now),
	}
	s.Lacking, s.Since = l.peers.Lacking()
	s.Uncompared = l.peers.Uncompared(now)
	s.TooLong, s.Longest = l.peers.TooLong(now, l.at.Receives)
	switch {
	case failed != nil:
		s.Failed = failed.Error()
	case s.Failed == "" && l.failed != nil:
		s.Failed = l.failed.Error()
	}
	l.mu.Lock()
	before := l.shown
	if !before.Running { // it is no longer wanted
		l.mu.Unlock()
		return
	}
	s.Again = before.Again + uint64(sent)
	l.shown = s
	l.mu.Unlock()
	switch {
	case s.Failed != "" && s.Failed != before.Failed:
		l.complain(s.Failed)
	case s.Failed == "" && before.Failed != "":
		l.o.Log.Info("exchanges with other directors again which connections each has")
	}
	if before.Cold != s.Cold {
		l.o.Changed()
	}
	if sent > 0 && !blind {
		l.o.Log.Info("sent connections again that another director lacks", "connections", sent)
	}
}

func (l *Loop) complain(text string) {
	l.o.Log.Error("cannot exchange with other directors which connections each has; trying again", "error", text)
}
