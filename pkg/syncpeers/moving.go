package syncpeers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/connsync"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/syncmsg"
	"github.com/lvs-director/lvs-director/pkg/task"
)

const (
	// moveWithin limits a pass over the connections whose address moves: the director that gives way keeps the address for a second.
	moveWithin = time.Second
	// moveHangs is when two passes that have not ended hang in the kernel.
	moveHangs = 2*moveWithin + moveAgain + 500*time.Millisecond
	// moveAgain is the time from the end of one pass to the second one, for what the kernel was taking in during the first.
	moveAgain = 30 * time.Millisecond
	// moveBatch is how many connections are collected before they are sent.
	moveBatch = 500
)

// mover sends the connections of instances that give way, in a goroutine of its own. Another one asks the kernel, and may hang: then
// it is left alone, and there is no second one before it has ended.
type mover struct {
	wake chan struct{}

	mu      sync.Mutex // guards all below
	pending map[config.InstanceID]bool
	idle    chan struct{} // closed when all has been sent; nil: it has been
}

// GiveWay sends the connections of an instance that the other directors may not have yet. It does not block, and sends to nobody
// if the loop does nothing.
func (l *Loop) GiveWay(instance config.InstanceID) {
	if !l.Snapshot().Running {
		return
	}
	l.mover.mu.Lock()
	defer l.mover.mu.Unlock()
	l.mover.pending[instance] = true
	if l.mover.idle == nil {
		l.mover.idle = make(chan struct{})
	}
	select {
	case l.mover.wake <- struct{}{}:
	default:
	}
}

// AwaitGiven waits until what GiveWay was called for has been sent, or until ctx ends.
func (l *Loop) AwaitGiven(ctx context.Context) {
	l.mover.mu.Lock()
	idle := l.mover.idle
	l.mover.mu.Unlock()
	if idle == nil {
		return
	}
	select {
	case <-idle:
	case <-ctx.Done():
	}
}

// move sends what GiveWay asks for until ctx ends.
func (l *Loop) move(ctx context.Context) {
	ended := make(chan struct{}) // of the last passes
	close(ended)
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.mover.wake:
		}
		l.mover.mu.Lock()
		of := l.mover.pending
		l.mover.pending = map[config.InstanceID]bool{}
		l.mover.mu.Unlock()
		select {
		case <-ended:
			ended = make(chan struct{})
			l.passes(ctx, of, ended)
		default:
			l.o.Log.Warn("cannot send the youngest connections of virtual addresses that move: the kernel has not answered since the last time")
		}
		l.mover.mu.Lock()
		if len(l.mover.pending) == 0 && l.mover.idle != nil {
			close(l.mover.idle)
			l.mover.idle = nil
		}
		l.mover.mu.Unlock()
	}
}

// passes sends the connections of instances in two passes, and closes ended after them. It returns then, when ctx ends, or when
// they hang.
func (l *Loop) passes(ctx context.Context, of map[config.InstanceID]bool, ended chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, moveHangs)
	defer cancel() // what hangs sends nothing any more
	go func() {
		defer close(ended)
		m := &moving{loop: l, of: of, told: map[lvs.Connection]string{}}
		m.pass(ctx)
		if task.Pause(ctx, moveAgain); ctx.Err() == nil {
			m.pass(ctx)
		}
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			l.o.Log.Warn("cannot send all of the youngest connections of virtual addresses that move: the kernel does not answer")
		}
	}
}

// moving is what is sent of instances that give way, in two passes.
type moving struct {
	loop  *Loop
	of    map[config.InstanceID]bool
	told  map[lvs.Connection]string // the state that was sent
	known map[lvs.Connection]Served // by endsOf

	batch, closing []syncmsg.Connection
	sent           int
	failed         error
}

// pass sends what has not been sent in its state yet; nothing once whole, the context of both passes, has ended.
func (m *moving) pass(whole context.Context) {
	l := m.loop
	socket, want, ask := l.current()
	if socket == nil {
		l.o.Log.Warn("cannot send the youngest connections of virtual addresses that move: there is no socket")
		return
	}
	ctx, cancel := context.WithTimeout(whole, moveWithin)
	defer cancel()
	begun := time.Now()
	m.known, m.sent, m.failed = map[lvs.Connection]Served{}, 0, nil
	err := l.o.States(ctx, func(c lvs.Connection, state string) {
		if whole.Err() != nil {
			return
		}
		m.add(c, state, begun, ask)
		if len(m.batch) >= moveBatch {
			m.send(socket, want)
		}
	})
	if whole.Err() != nil { // nobody waits for it any more
		return
	}
	m.batch, m.closing = append(m.batch, m.closing...), nil
	m.send(socket, want)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("the kernel takes longer than %s to list its connections", moveWithin)
	}
	switch err = errors.Join(err, m.failed); {
	case whole.Err() != nil: // it is being stopped
	case err != nil:
		l.o.Log.Warn("cannot send all of the youngest connections of virtual addresses that move", "sent", m.sent, "error", err)
	case m.sent > 0:
		l.o.Log.Info("sent the youngest connections of virtual addresses that move", "connections", m.sent, "took", time.Since(begun).String())
	}
}

// add takes in a connection of the kernel's list.
func (m *moving) add(c lvs.Connection, state string, now time.Time, ask Ask) {
	if before, was := m.told[c]; was && before == state || len(m.told) >= connsync.MostMoving {
		return
	}
	ends := endsOf(c)
	s, seen := m.known[ends]
	if !seen {
		s = ask.Served(ends)
		m.known[ends] = s
	}
	if !s.Known || !m.of[s.Instance] || m.loop.toldBefore(now, c) {
		return
	}
	e, closing, can := connsync.Moving(c, state, s.To(c.Server), s.Persistence)
	e.Mark = s.Mark
	switch {
	case !can || closing && len(m.closing) >= connsync.MostClosing:
		return
	case closing:
		m.closing = append(m.closing, e)
	default:
		m.batch = append(m.batch, e)
	}
	m.told[c] = state
}

// toldBefore reports whether the other directors are expected to have a connection.
func (r *reader) toldBefore(now time.Time, c lvs.Connection) bool {
	r.looking.Lock()
	defer r.looking.Unlock()
	return r.table.Told(now, c)
}

// send sends what is collected. After an error it sends no more.
func (m *moving) send(socket Socket, want Wanted) {
	all := m.batch
	m.batch = nil
	if m.failed != nil {
		return
	}
	if m.failed = transmit(socket, want, all); m.failed == nil {
		m.sent += len(all)
	}
}

// transmit sends connections in the kernel's format, as fast as receivers take them.
func transmit(socket Socket, want Wanted, all []syncmsg.Connection) error {
	datagrams, err := connsync.Messages(want.ID, all, want.MaxLen)
	if err != nil {
		return err
	}
	for n, d := range datagrams {
		if n%burst == burst-1 {
			time.Sleep(burstPause)
		}
		if err := socket.Send(d); err != nil {
			return err
		}
	}
	return nil
}
