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
	// Connections calls each for every open connection of the kernel's table.
	Connections func(each func(lvs.Connection)) error
	// Changed is called when Cold may have changed. It must not block.
	Changed func()
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

// Served says what this director does with the connections to a virtual address.
type Served struct {
	Known   bool // it is a virtual server of the cluster file, on an address of an instance
	Held    bool // this director holds the address
	Forward config.Forward
}

// Role says what this director does at the moment.
type Role struct {
	Master bool // it holds a virtual address
	// Sends and Learns say which daemons of the kernel it runs: it takes part in what they do, no more.
	Sends, Learns bool
}

// Ask are questions about this director. They must not block.
type Ask struct {
	Served func(virtual netip.AddrPort) Served // for each virtual address of each look
	Role   func() Role                         // once in each look
}

// Loop is the loop. Set and Snapshot may be called from any goroutine.
type Loop struct {
	o     Options
	run   uint32
	dirty chan struct{}
	ready task.Latch

	mu    sync.Mutex // guards all below
	want  Wanted
	ask   Ask
	shown Snapshot
	open  Socket

	// Used only by the goroutine of Run.
	at     Wanted // of the open socket
	tried  time.Time
	due    time.Time // of the next look
	table  connsync.Table
	peers  *connsync.Peers
	counts connsync.Counts
}

// Snapshot is a Loop at one moment.
type Snapshot struct {
	Running bool   // something is wanted
	Failed  string // why nothing can be sent or received, or the connections are not known; "" if all is well
	Cold    bool   // see connsync.Peers.Cold
	Held    int    // settled connections to virtual addresses that this director holds
	Others  int    // connections to the other ones
	Lacking int    // connections of MASTERs that this director lacks
	Since   time.Time
	Silent  time.Time // since when nothing was heard that should have been heard
	Strange connsync.Strange
	TooLong netip.Addr // who has sent a message that the kernel does not receive; invalid: nobody
	Longest int
	Again   uint64 // connections that were sent again
	Peers   map[netip.Addr]connsync.Peer
}

const (
	lookEvery = time.Second
	// lookShare limits the part of the time in which the table is read to 1/(lookShare+1).
	lookShare = 20
	// reopenEvery is the pause between attempts to open the socket.
	reopenEvery = time.Second
	// beatEvery is the number of connections after which a heartbeat is sent.
	beatEvery = 1024
	// burst is the number of datagrams after which a pause of burstPause follows, so that they fit into the receiver's buffer.
	burst      = 16
	burstPause = 2 * time.Millisecond
)

// New returns a loop that does nothing yet.
func New(o Options) *Loop {
	return &Loop{o: o, run: rand.Uint32(), dirty: make(chan struct{}, 1)}
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
		if now := time.Now(); !now.Before(l.due) {
			l.look(now, socket, ask, heart)
			l.due = time.Now().Add(max(lookEvery-time.Since(now), lookShare*time.Since(now)))
		}
	}
	return nil
}

func (l *Loop) current() (Socket, Wanted, Ask) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open, l.want, l.ask
}

// shut closes the socket.
func (l *Loop) shut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open != nil {
		_ = l.open.Close()
		l.open = nil
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
		l.pause(ctx, heartbeat.Every)
		return
	}
	if want == l.at { // the socket broke
		l.pause(ctx, time.Until(l.tried.Add(reopenEvery)))
	}
	if ctx.Err() != nil {
		return
	}
	l.tried, l.at, l.due = time.Now(), want, time.Now()
	if fresh {
		l.peers = connsync.NewPeers(time.Now(), want.ID)
	}
	socket, err := l.o.Open(want.At)
	if err != nil {
		l.fail(err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if ctx.Err() != nil {
		_ = socket.Close()
		return
	}
	l.open = socket
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
	all, err := socket.Receive(earlier(l.due, time.Now().Add(heartbeat.Every)))
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

// look reads the connections, tells the others, and sends again what they lack. After an error the next look tries again:
// the socket stays open.
func (l *Loop) look(now time.Time, socket Socket, ask Ask, heart *heartbeat.Signal) {
	role := ask.Role()
	need := l.peers.Need(now, l.sends(role))
	if !role.Sends {
		need = connsync.Need{}
	}
	pass := l.table.Look(now, need)
	known := map[netip.AddrPort]Served{}
	lines := 0
	err := l.o.Connections(func(c lvs.Connection) {
		if lines++; lines%beatEvery == 0 {
			heart.Beat()
		}
		s, seen := known[c.Virtual]
		if !seen {
			s = ask.Served(c.Virtual)
			known[c.Virtual] = s
		}
		if s.Known {
			pass.Add(c, s.Held)
		}
	})
	if err != nil {
		l.fail(err)
		return
	}
	var again []lvs.Connection
	l.counts, again = pass.End()
	if role.Learns {
		l.peers.Compare(now, l.counts)
	} else {
		l.peers.Unlearning()
	}
	err = socket.Send(l.note(role).Append(nil))
	sent := 0
	if err == nil {
		sent, err = l.send(socket, again, known)
	}
	l.publish(now, sent, need.Blind, err)
}

// sends returns the connections that the others can have of this director: none without the daemon that sends them.
func (l *Loop) sends(role Role) connsync.Counts {
	own := l.counts
	if !role.Sends {
		own.Held = syncmsg.Counts{}
	}
	return own
}

// note returns what the others are told.
func (l *Loop) note(role Role) *syncmsg.Note {
	own := l.sends(role)
	return &syncmsg.Note{ID: l.at.ID, Run: l.run, Held: own.Held, Others: own.Others, Master: role.Master && role.Sends}
}

// send sends connections again.
func (l *Loop) send(socket Socket, again []lvs.Connection, known map[netip.AddrPort]Served) (int, error) {
	var entries []syncmsg.Connection
	for _, c := range again {
		if e, can := connsync.Entry(c, known[c.Virtual].Forward); can {
			entries = append(entries, e)
		}
	}
	datagrams, err := connsync.Messages(l.at.ID, entries, l.at.MaxLen)
	if err != nil {
		return 0, err
	}
	for n, d := range datagrams {
		if n%burst == burst-1 {
			time.Sleep(burstPause)
		}
		if err := socket.Send(d); err != nil {
			return 0, err
		}
	}
	return len(entries), nil
}

func (l *Loop) publish(now time.Time, sent int, blind bool, failed error) {
	s := Snapshot{
		Running: true, Cold: l.peers.Cold(), Held: l.counts.Held.Total(), Others: l.counts.Others.Total(), Silent: l.peers.Silent(now),
		Strange: l.peers.Strange(), Peers: l.peers.All(),
	}
	s.Lacking, s.Since = l.peers.Lacking()
	s.TooLong, s.Longest = l.peers.TooLong(now, l.at.Receives)
	if failed != nil {
		s.Failed = failed.Error()
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
