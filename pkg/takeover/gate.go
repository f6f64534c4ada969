package takeover

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/election"
	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/replication"
	"github.com/lvs-director/lvs-director/pkg/task"
)

// Holder holds the VIPs of instances; it is the address loop.
type Holder = election.Holder

// Wait is what the VIPs of an instance wait for: until the database has applied its relay log.
type Wait struct {
	Name    string // of the instance in the cluster file
	Server  Server
	Timeout time.Duration
	// Fault: if the relay log has not been applied at the end, the instance goes to FAULT until it has; otherwise the VIPs are
	// taken.
	Fault bool
}

// Ending is how a wait ended.
type Ending string

// The endings of a wait.
const (
	Applied Ending = "applied" // all that was received has been applied
	Late    Ending = "timeout" // not within the time
	Stuck   Ending = "stuck"   // the thread that applies it does not run
)

// Waited is a wait that has ended.
type Waited struct {
	Name   string
	Ending Ending
	Took   time.Duration
	Fault  bool   // the instance goes to FAULT
	Text   string // what was received and applied, or why that is not known
}

// Waiting is a wait that goes on.
type Waiting struct {
	Name    string
	Timeout time.Duration
	Since   time.Time
	Text    string // what is received and applied
}

// GateOptions are the dependencies of a Gate; all are required. The functions are called from several goroutines.
type GateOptions struct {
	Holder Holder
	// Ask asks a database for its positions, until ctx ends.
	Ask func(ctx context.Context, s Server) (replication.Positions, error)
	// Ended is called for each wait that has ended. It must not block.
	Ended func(Waited)
	// Changed is called when Waiting or HeldBack have changed, and must not block.
	Changed func()
}

const (
	// askEvery is how often a database is asked while VIPs wait for it, againEvery while the instance is in FAULT; lookWithin
	// limits each question.
	askEvery   = 50 * time.Millisecond
	againEvery = time.Second
	lookWithin = time.Second
)

// Gate is between the elections and the VIPs. The VIPs of an instance with a Wait are acquired when the relay log of its
// database has been applied; those of the others pass at once. Nothing else waits: the director is MASTER meanwhile, and sends
// adverts. The methods may be called from any goroutine and do not block.
type Gate struct {
	Holder // Announce, Outranked and Ask pass as they are: VIPs that are not held have no effect there

	o     GateOptions
	ready task.Latch
	ctx   context.Context
	end   func()

	mu       sync.Mutex // guards all below, and the order of calls of Holder
	want     map[config.InstanceID]Wait
	acquired map[config.InstanceID]bool
	waits    map[config.InstanceID]*wait
	heldBack map[config.InstanceID]string
	running  sync.WaitGroup
	ended    bool
}

// wait is one that goes on.
type wait struct {
	Wait
	since  time.Time
	silent bool
	text   string
	cancel func()
}

// NewGate returns a Gate that lets everything pass.
func NewGate(o GateOptions) *Gate {
	ctx, end := context.WithCancel(context.Background())
	return &Gate{
		Holder: o.Holder, o: o, ctx: ctx, end: end, want: map[config.InstanceID]Wait{}, acquired: map[config.InstanceID]bool{},
		waits: map[config.InstanceID]*wait{}, heldBack: map[config.InstanceID]string{},
	}
}

// Name implements task.Task.
func (g *Gate) Name() string { return "what VIPs wait for" }

// Ready implements task.Task.
func (g *Gate) Ready() <-chan struct{} { return g.ready.Ready() }

// Set makes these the waits. One that goes on ends as it began.
func (g *Gate) Set(want map[config.InstanceID]Wait) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.want = maps.Clone(want)
	held := len(g.heldBack)
	maps.DeleteFunc(g.heldBack, func(id config.InstanceID, _ string) bool { return !g.want[id].Fault })
	if len(g.heldBack) != held {
		g.o.Changed()
	}
}

// Acquire acquires the VIPs, at once or when the wait has ended.
func (g *Gate) Acquire(instance config.InstanceID, silent bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	w, waits := g.want[instance]
	switch {
	case g.waits[instance] != nil:
		return
	case !waits || g.acquired[instance] || g.ended:
		g.acquired[instance] = true
		g.Holder.Acquire(instance, silent)
		return
	}
	ctx, cancel := context.WithTimeout(g.ctx, w.Timeout)
	one := &wait{Wait: w, since: time.Now(), silent: silent, text: "it is being asked", cancel: cancel}
	g.waits[instance] = one
	g.running.Go(func() { g.await(ctx, instance, one) })
	g.o.Changed()
}

// Release gives the VIPs up, or ends the wait for them.
func (g *Gate) Release(instance config.InstanceID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.drop(instance)
	g.Holder.Release(instance)
}

// Retain is for VIPs that are held; a wait for them ends.
func (g *Gate) Retain(instance config.InstanceID, within time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.drop(instance) {
		g.Holder.Release(instance)
		return
	}
	g.Holder.Retain(instance, within)
}

// drop ends a wait, and reports whether there was one. mu is held.
func (g *Gate) drop(instance config.InstanceID) bool {
	delete(g.acquired, instance)
	w := g.waits[instance]
	if w == nil {
		return false
	}
	delete(g.waits, instance)
	w.cancel()
	g.o.Changed()
	return true
}

// await asks the database until its relay log is applied, it cannot be, or ctx ends, and then ends the wait.
func (g *Gate) await(ctx context.Context, instance config.InstanceID, w *wait) {
	defer w.cancel()
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			g.finish(instance, w, Late)
			return
		case <-pause.C:
		}
		switch progress, text := g.look(ctx, w.Server); {
		case progress == replication.Done:
			g.note(w, text)
			g.finish(instance, w, Applied)
			return
		case progress == replication.Stuck:
			g.note(w, text)
			g.finish(instance, w, Stuck)
			return
		case ctx.Err() == nil: // the last answer in time says more than a question that ended with it
			g.note(w, text)
		}
		pause.Reset(askEvery)
	}
}

// look asks the database once.
func (g *Gate) look(ctx context.Context, s Server) (replication.Progress, string) {
	ctx, cancel := context.WithTimeout(ctx, min(s.Timeout, lookWithin))
	defer cancel()
	p, err := g.o.Ask(ctx, s)
	if err != nil {
		return 0, err.Error()
	}
	if p.ReplicationUnread != "" {
		return 0, p.ReplicationUnread
	}
	return p.Progress()
}

func (g *Gate) note(w *wait, text string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	w.text = text
}

// finish acquires the VIPs, or holds the instance back, unless the wait was ended by others.
func (g *Gate) finish(instance config.InstanceID, w *wait, ending Ending) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.waits[instance] != w || g.ended {
		return
	}
	delete(g.waits, instance)
	done := Waited{Name: w.Name, Ending: ending, Took: time.Since(w.since), Fault: w.Fault && ending != Applied, Text: w.text}
	if done.Fault {
		g.heldBack[instance] = "the relay log is not applied: " + w.text
	} else {
		g.acquired[instance] = true
		g.Holder.Acquire(instance, w.silent)
	}
	g.o.Ended(done)
	g.o.Changed()
}

// Run looks whether the databases of the instances that are held back have applied their relay logs, until ctx ends. VIPs that
// are acquired after that do not wait. It returns nil.
func (g *Gate) Run(ctx context.Context) error {
	tick := heartbeat.NewTicker(againEvery)
	defer tick.Stop()
	heart := heartbeat.From(ctx)
	defer heart.Stop()
	defer func() {
		g.mu.Lock()
		g.ended = true
		g.mu.Unlock()
		g.end()
		g.running.Wait()
	}()
	g.ready.Close()
	for {
		heart.Beat()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			g.again(heart)
		}
	}
}

// again looks at the instances that are held back.
func (g *Gate) again(heart *heartbeat.Signal) {
	g.mu.Lock()
	held := slices.Collect(maps.Keys(g.heldBack))
	g.mu.Unlock()
	for _, instance := range held {
		heart.Beat()
		g.mu.Lock()
		w, waits := g.want[instance]
		g.mu.Unlock()
		progress := replication.Done
		if waits {
			progress, _ = g.look(g.ctx, w.Server)
		}
		g.mu.Lock()
		_, still := g.heldBack[instance]
		if still && progress == replication.Done { // the reason stays as it was: each change of it is one of the plan
			delete(g.heldBack, instance)
			g.o.Changed()
		}
		g.mu.Unlock()
	}
}

// HeldBack returns why instances must not be MASTER.
func (g *Gate) HeldBack() map[config.InstanceID]string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.heldBack)
}

// Waiting returns the waits that go on, by name.
func (g *Gate) Waiting() []Waiting {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []Waiting
	for _, w := range g.waits {
		all = append(all, Waiting{Name: w.Name, Timeout: w.Timeout, Since: w.since, Text: w.text})
	}
	slices.SortFunc(all, func(a, b Waiting) int { return cmp.Compare(a.Name, b.Name) })
	return all
}
