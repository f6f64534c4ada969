package director

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/checker"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/reconcile"
	"github.com/lvs-director/lvs-director/pkg/task"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// Options are what a director needs; all are required but those that say otherwise.
type Options struct {
	// Config is the validated cluster file; Load reads and validates it again for a reload.
	Config   *config.Config
	Load     func() (*config.Config, error)
	Node     config.Director // this machine
	StateDir string
	Version  string
	Kernel   Kernel
	Log      *slog.Logger
	// Started is called when the loops run.
	Started func()
	// Record is told of what happens, and must return at once. Optional.
	Record func(event.Event)
	// Problems are those that the daemon around this has found. Optional.
	Problems func() []problem.Finding
}

// Director is the daemon. New makes it, Run is its life.
type Director struct {
	o          Options
	log        *slog.Logger
	heartbeats heartbeat.Set
	commands   chan func()
	stopped    chan struct{}

	reloading sync.Mutex // held by Reload, so that the file read last is the one applied last
	loops     task.Published[*loops]
	plan      task.Published[plan.Plan]
	problems  *problemMonitor

	// Owned by the goroutine of Run, through commands.
	in            plan.Inputs
	ready         readiness
	changed       bool            // in is not what the plan was made of;
	judged        bool            // only verdicts and readiness are not
	looked        time.Time       // when the look that in is made of was begun
	seen, reached <-chan struct{} // closed when the watcher or the table loop has published more than in is made of
}

// loops are what a director runs. They are made once, and never changed; what they hold may be asked from any goroutine.
type loops struct {
	group     *task.Group // of all but the elections, which end before
	state     *stateFile
	kernel    Addresses // the director's own way to it
	addresses *reconcile.Addresses
	watcher   *watcher
	sysctls   *reconcile.Sysctls
	checker   *checker.Checker
	verdicts  chan struct{} // a verdict has changed
	sockets   *sockets
	instances *instances
	stalls    *stallMonitor
	table     *table
}

// New makes a director; nothing is touched before Run.
func New(o Options) *Director {
	if o.Record == nil {
		o.Record = func(event.Event) {}
	}
	d := &Director{o: o, log: o.Log, commands: make(chan func()), stopped: make(chan struct{})}
	d.problems = newProblemMonitor(d.snapshots, o.Problems, o.Record)
	d.plan.Set(plan.Plan{Config: o.Config, Node: o.Node})
	return d
}

// Heartbeats are the loops of this daemon, for the watchdog.
func (d *Director) Heartbeats() *heartbeat.Set { return &d.heartbeats }

// Run directs until ctx ends, then withdraws: priority 0 is sent, VIPs and virtual servers are removed, sysctls get
// their former values. The error says what could not be started, with the remedy.
func (d *Director) Run(ctx context.Context) (err error) {
	defer close(d.stopped)
	l, err := d.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.kernel.Close(), l.state.Close()) }()
	if err := removeVIPs(l, d.claims(), d.log); err != nil { // that an earlier run left
		return err
	}
	inherited := len(l.state.Services()) > 0
	defer func() {
		// The order of leaving: first the peers learn of it, then the VIPs go, then what served them.
		d.problems.leave()
		l.instances.stopAll()
		l.group.Stop()
		if err != nil && inherited {
			// A start that fails is tried again: what an earlier run served lives on until one succeeds.
			err = errors.Join(err, withdrawVIPs(l, d.claims(), d.log), l.table.close())
			return
		}
		err = errors.Join(err, withdraw(l, d.claims(), d.log))
	}()
	if err := d.start(ctx, l); err != nil {
		return err
	}
	heart := d.heartbeats.Start("the director's own loop")
	defer heart.Stop()
	d.loops.Set(l)
	l.group.Start(l.stalls)
	l.group.Start(d.problems)
	d.o.Started()
	d.log.Info("directing", "node", d.o.Node.Name, "config", d.in.Config.Summary())
	return d.serve(ctx, l, heart)
}

// claims are those of the file that is followed.
func (d *Director) claims() plan.Claims {
	cfg := d.plan.Load().Config
	if cfg == nil { // a start that failed before its first plan
		cfg = d.o.Config
	}
	return plan.ClaimsOf(cfg, d.o.Node.Name)
}

// open takes hold of the state directory, if it can be used, and of the kernel's addresses, and makes the loops.
func (d *Director) open() (*loops, error) {
	state, err := openStateFile(d.o.StateDir, d.log)
	if err != nil {
		return nil, err
	}
	own, err := d.o.Kernel.Addresses()
	if err != nil {
		return nil, errors.Join(err, state.Close())
	}
	l := &loops{group: task.NewGroup(&d.heartbeats), state: state, kernel: own, verdicts: make(chan struct{}, 1)}
	l.sysctls = newSysctls(d.o.Kernel.Sysctls(), state, d.log)
	l.table = &table{kernel: d.o.Kernel, state: state, log: d.log, group: l.group}
	l.sockets = &sockets{group: l.group, open: d.o.Kernel.Socket, log: d.log, all: map[vrrp.Segment]socket{}}
	l.instances = &instances{
		group: task.NewGroup(&d.heartbeats), sockets: l.sockets, suspended: d.o.Kernel.Suspended, told: d.transition, log: d.log,
		all: map[config.InstanceID]*instance{},
	}
	l.stalls = newStallMonitor(&d.heartbeats, l.instances.candidates, d.log)
	return l, nil
}

// start builds the loops and brings them to the first file. What fails here fails the daemon: a missing privilege or kernel
// feature is told at once.
func (d *Director) start(ctx context.Context, l *loops) error {
	cfg := d.o.Config
	limitMemory(cfg)
	d.changed = true
	d.in = plan.Inputs{Config: &config.Config{}, Next: cfg, Node: d.o.Node.Name}
	d.plan.Set(plan.Plan{})
	l.state.saved(l.state.SetAddresses(d.claims().Records))
	var err error
	if d.in.Adopted, err = l.table.adopt(cfg); err != nil {
		return err
	}
	if err := d.startAddresses(l); err != nil {
		return err
	}
	watched, err := d.o.Kernel.Addresses()
	if err != nil {
		return err
	}
	l.watcher = newWatcher(watched, d.o.Kernel.Watch, func(a kernel.IfAddr) { l.addresses.Gone(a.Interface, a.Prefix) }, d.log)
	l.checker = checker.New(d.o.Kernel.Probe, new(checker.SecretFiles).Read, d.log, func(of config.Subject, before, now health.Verdict) {
		d.recordVerdict(of, before, now)
		wake(l.verdicts)
	})
	l.watcher.look()
	d.ready = starting(time.Now())
	for _, t := range []task.Task{closing{l.watcher, func() { _ = watched.Close() }}, l.checker, l.sysctls, l.state} {
		l.group.Start(t)
	}
	if err := d.turn(l); err != nil {
		return err
	}
	if err := l.table.awaitFirst(ctx); err != nil {
		return err
	}
	d.in.Config, d.in.Next, d.in.Adopted, d.changed = cfg, nil, nil, true
	return d.turn(l)
}

// startAddresses starts the address loop, which has a way to the kernel of its own: the VIP path waits for nobody.
func (d *Director) startAddresses(l *loops) error {
	own, err := d.o.Kernel.Addresses()
	if err != nil {
		return err
	}
	announcer := d.o.Kernel.Announcer()
	// A lost lease goes straight to the election, past the director's own goroutine.
	lost := func(id config.InstanceID, reason string) { l.instances.tell(id, vrrp.Lost{Reason: reason}) }
	l.addresses = reconcile.NewAddresses(own, announcer, lost, d.log)
	l.instances.holder = l.addresses
	l.group.Start(closing{l.addresses, func() { _, _ = own.Close(), announcer.Close() }})
	return nil
}

// closing is a task that closes what it used at its end.
type closing struct {
	task.Task
	close func()
}

func (c closing) Run(ctx context.Context) error {
	defer c.close()
	return c.Task.Run(ctx)
}

func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// gather is the least pause between two turns that verdicts cause: a thousand of them together are not worth a turn each.
const gather = 20 * time.Millisecond

// serve takes turns until ctx ends.
func (d *Director) serve(ctx context.Context, l *loops, heart *heartbeat.Signal) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	checked := l.checker.Ready()
	var last time.Time
	for {
		wait, verdicts := min(heartbeat.Every, d.ready.wait(time.Now())), l.verdicts
		if left := gather - time.Since(last); left > 0 {
			wait, verdicts = min(wait, left), nil
		}
		timer.Reset(wait)
		heart.Beat()
		select {
		case <-ctx.Done():
			d.log.Info("stopping")
			return nil
		case err := <-l.group.Failed():
			return err
		case command := <-d.commands:
			command()
			continue
		case <-d.seen:
		case <-verdicts:
			last = time.Now()
			d.in.Verdicts, d.judged = l.checker.Verdicts(), true
		case <-d.reached:
			d.problems.poke()
		case <-checked:
			checked = nil
			d.problems.poke()
		case <-timer.C:
		}
		if err := d.turn(l); err != nil {
			d.log.Error("cannot bring the loops to the plan; trying again", "error", err)
		}
	}
}

// do runs f in the goroutine that owns the director and waits for it until ctx ends. After an error f may run all the same,
// or still be running. The error is ErrStopped when Run has ended.
func (d *Director) do(ctx context.Context, f func()) error {
	done := make(chan struct{})
	select {
	case d.commands <- func() { defer close(done); f() }:
	case <-d.stopped:
		return ErrStopped
	case <-ctx.Done():
		return fmt.Errorf("the director does not answer: %w", ctx.Err())
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the director has not finished with it: %w", ctx.Err())
	}
}
