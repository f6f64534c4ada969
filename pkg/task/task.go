package task

import (
	"context"
	"sync"

	"github.com/lvs-director/lvs-director/pkg/heartbeat"
)

// Task is one loop of a daemon.
type Task interface {
	// Name is a noun phrase for use in messages: "the table loop".
	Name() string
	// Run runs until ctx ends. An error ends the daemon. It calls Beat on heartbeat.From(ctx) once per iteration, at
	// least every heartbeat.Every.
	Run(ctx context.Context) error
	// Ready is closed when the task has reached its first desired state.
	Ready() <-chan struct{}
}

// Group is a set of tasks that are stopped together.
type Group struct {
	heartbeats *heartbeat.Set
	failed     chan error

	mu      sync.Mutex // guards running
	running map[*Running]bool
}

// Running is a Task that has been started.
type Running struct {
	Heartbeat *heartbeat.Signal // identifies the task to a heartbeat.Monitor
	cancel    context.CancelFunc
	done      chan struct{}
}

// NewGroup returns a Group without tasks that adds the heartbeats of its tasks to heartbeats.
func NewGroup(heartbeats *heartbeat.Set) *Group {
	return &Group{heartbeats: heartbeats, failed: make(chan error, 1), running: map[*Running]bool{}}
}

// Start runs a task until Stop. Its context is independent of the daemon's, because tasks are stopped in a defined
// order.
func (g *Group) Start(t Task) *Running {
	ctx, cancel := context.WithCancel(context.Background())
	r := &Running{Heartbeat: g.heartbeats.Start(t.Name()), cancel: cancel, done: make(chan struct{})}
	g.mu.Lock()
	g.running[r] = true
	g.mu.Unlock()
	go func() {
		defer close(r.done)
		defer cancel()
		err := t.Run(heartbeat.With(ctx, r.Heartbeat))
		r.Heartbeat.Stop()
		g.mu.Lock()
		delete(g.running, r)
		g.mu.Unlock()
		if err != nil && ctx.Err() == nil {
			select {
			case g.failed <- err:
			default: // only the first error is kept
			}
		}
	}()
	return r
}

// Failed receives the first error of a task that was not stopped.
func (g *Group) Failed() <-chan error { return g.failed }

// Stop cancels all tasks at once, so that none waits for the end of another, and waits for them.
func (g *Group) Stop() {
	g.mu.Lock()
	var all []*Running
	for r := range g.running {
		all = append(all, r)
	}
	g.mu.Unlock()
	for _, r := range all {
		r.cancel()
	}
	for _, r := range all {
		<-r.done
	}
}

// Stop cancels the task and waits for its end.
func (r *Running) Stop() {
	r.cancel()
	<-r.done
}

// Latch is closed once. The zero value is open and ready for use.
type Latch struct {
	mu     sync.Mutex
	done   chan struct{}
	closed bool
}

// Ready is closed by Close.
func (l *Latch) Ready() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.done == nil {
		l.done = make(chan struct{})
	}
	return l.done
}

// Close closes the latch; a second call does nothing.
func (l *Latch) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.done == nil {
		l.done = make(chan struct{})
	}
	if !l.closed {
		l.closed = true
		close(l.done)
	}
}

// Closed reports whether the latch is closed.
func (l *Latch) Closed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}
