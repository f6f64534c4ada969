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
	"github.com/lvs-director/lvs-director/pkg/election"
	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/notify"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/probe"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/reconcile"
	"github.com/lvs-director/lvs-director/pkg/takeover"
	"github.com/lvs-director/lvs-director/pkg/task"
	"github.com/lvs-director/lvs-director/pkg/tracking"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// Options are the settings of a director; all are required unless marked optional.
type Options struct {
	// Config is the validated cluster file; Load reads and validates it again, for a reload.
	Config   *config.Config
	Load     func() (*config.Config, error)
	Node     config.Director // this host
	StateDir string
	Version  string
	Kernel   Kernel
	Log      *slog.Logger
	// Started is called when the loops are running.
	Started func()
	// Record is called for each event and must return at once. Optional.
	Record func(event.Event)
	// TakeOver starts the director even if another VRRP daemon of this network namespace holds one of its VIPs.
	TakeOver bool
	// Problems returns the problems found by the rest of the daemon. Optional.
	Problems func() []problem.Finding
	// Hurry is closed when a stop must not wait for anybody any more. Optional.
	Hurry <-chan struct{}
}

// Director is the daemon. New creates it, Run runs it.
type Director struct {
	o          Options
	log        *slog.Logger
	heartbeats heartbeat.Set
	commands   chan func()
	roles      chan struct{} // signals that the state of an instance has changed
	stopped    chan struct{}

	reloading sync.Mutex // held by Reload, so that the file read last is applied last
	loops     task.Published[*loops]
	plan      task.Published[plan.Plan]
	sources   task.Published[*sources] // of the newest plan, also while it is being applied
	filter    *packetFilter
	problems  *problemMonitor
	features  featureCache

	// Owned by the goroutine of Run; others use commands.
	in            plan.Inputs
	ready         readiness
	pools         poolStates      // for hooks
	settles       time.Time       // when the steadiness of an interface changes next; zero: not by itself
	changed       bool            // in has changed since the plan was made, other than in verdicts and readiness
	judged        bool            // verdicts or readiness have changed since then
	rearranged    bool            // addresses without a lease have changed since the address loop was told
	decided       uint64          // the version of the overrides that in has
	looked        time.Time       // the begin of the watcher's read that in is based on
	seen, reached <-chan struct{} // closed when the watcher or the table loop has published a newer state than that in in
}

// loops are the loops of a director. The struct is created once and never changed; its members may be queried from any
// goroutine.
type loops struct {
	group     *task.Group // all loops except the elections, which end first
	state     *stateFile
	kernel    Addresses  // the director's own handle
	routing   Routing    // likewise
	virtual   linkKernel // likewise
	links     *reconcile.Links
	addresses *reconcile.Addresses
	routes    *reconcile.Routes
	watcher   *watcher
	sysctls   *reconcile.Sysctls
	vipFilter *reconcile.RuleTable[kernel.Closed]
	marks     *reconcile.RuleTable[kernel.Marking]
	sourceNAT *reconcile.RuleTable[kernel.SourceNAT]
	returns   *reconcile.RuleTable[kernel.ReturnPath]
	quiet     *quietVIPs
	sync      *connectionSync
	checker   *checker.Checker
	watches   *watches
	verdicts  chan struct{} // signals that a verdict has changed
	sockets   *sockets
	instances *instances
	sessions  *sessions
	stalls    *stallMonitor
	answers   *answerMonitor
	silent    *silentPeers
	table     *table
	lacks     map[string]string // by feature of the kernel, why it was absent at the start
	overrides *overrides
	directory *tracking.Directory
	takeOvers *takeover.Recorder
	gate      *takeover.Gate // between the elections and the address loop
	notifier  *notify.Notifier
	// hookGroups are for the hooks of sync groups.
	hookGroups hookGroups
	hooks      *task.Group // the notifier, which ends last
}

// judge returns the verdicts of all checks, BFD sessions and watched tracks.
func (l *loops) judge() plan.Verdicts {
	return l.checker.Verdicts().With(l.watches.verdicts(l.sessions.verdicts()))
}

// New returns a director; it does not touch the system before Run.
func New(o Options) *Director {
	if o.Record == nil {
		o.Record = func(event.Event) {}
	}
	d := &Director{o: o, log: o.Log, commands: make(chan func()), roles: make(chan struct{}, 1), stopped: make(chan struct{})}
	d.problems = newProblemMonitor(d.snapshots, o.Problems, o.Record)
	d.plan.Set(plan.Plan{Config: o.Config, Node: o.Node})
	return d
}

// Heartbeats returns the heartbeats of the loops of this daemon, for the watchdog.
func (d *Director) Heartbeats() *heartbeat.Set { return &d.heartbeats }

// Run runs the director until ctx ends, then withdraws: it sends priority 0, removes VIPs and virtual servers, and
// restores the former values of sysctls. The error says what could not be started, with the remedy.
func (d *Director) Run(ctx context.Context) (err error) {
	defer close(d.stopped)
	d.filter = newPacketFilter(d.o.Kernel.Firewall)
	l, err := d.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	if err := d.alone(l); err != nil {
		return err
	}
	d.removeOldRouting(l)
	if err := removeVIPs(l, nil, d.log); err != nil { // left by an earlier run
		return err
	}
	if err := removeLinks(l, d.log); err != nil {
		d.log.Error("cannot remove the virtual interfaces of an earlier run; the next start tries again", "error", err)
	}
	d.removeOldRules()
	inherited := len(l.state.Services()) > 0
	defer func() {
		// The order of shutdown: first the peers are told, then the VIPs are removed, then the virtual servers behind
		// them.
		d.problems.leave()
		l.instances.stopAll()
		l.group.Stop()
		defer d.endHooks(l)
		if err != nil && inherited {
			// A failed start is tried again: the virtual servers of an earlier run stay in place until a start
			// succeeds.
			err = errors.Join(err, d.withdrawVIPs(l), l.table.close())
			return
		}
		err = errors.Join(err, d.withdraw(l))
	}()
	if err := d.start(ctx, l); err != nil {
		return err
	}
	heart := d.heartbeats.Start("the director's own loop")
	defer heart.Stop()
	d.loops.Set(l)
	l.group.Start(l.stalls)
	l.group.Start(d.problems)
	l.group.Start(l.answers)
	l.group.Start(l.silent)
	d.o.Started()
	d.log.Info("directing", "node", d.o.Node.Name, "config", d.in.Config.Summary())
	return d.serve(ctx, l, heart)
}

// close closes what open has opened.
func (l *loops) close() error {
	return errors.Join(l.kernel.Close(), l.routing.Close(), l.virtual.Close(), l.state.Close())
}

// claims returns the claims of the cluster file in use.
func (d *Director) claims() plan.Claims {
	cfg := d.plan.Load().Config
	if cfg == nil { // a start that failed before its first plan
		cfg = d.o.Config
	}
	return plan.ClaimsOf(cfg, d.o.Node.Name)
}

// open locks the state directory, if it can be used, opens the kernel's addresses and creates the loops.
func (d *Director) open() (*loops, error) {
	state, err := openStateFile(d.o.StateDir, d.log)
	if err != nil {
		return nil, err
	}
	own, err := d.o.Kernel.Addresses()
	if err != nil {
		return nil, errors.Join(err, state.Close())
	}
	routing, err := d.o.Kernel.Routing()
	if err != nil {
		return nil, errors.Join(err, own.Close(), state.Close())
	}
	virtual, err := d.o.Kernel.VirtualLinks()
	if err != nil {
		return nil, errors.Join(err, own.Close(), routing.Close(), state.Close())
	}
	l := &loops{group: task.NewGroup(&d.heartbeats), hooks: task.NewGroup(&d.heartbeats), state: state, kernel: own, routing: routing, verdicts: make(chan struct{}, 1)}
	l.virtual = linkKernel{virtual, own}
	l.links = newLinks(l.virtual, d.o.Kernel.Sysctls(), state, d.log)
	l.sysctls = newSysctls(d.o.Kernel.Sysctls(), state, d.log)
	l.vipFilter = reconcile.NewRuleTable(d.o.Kernel.VIPFilter(), kernel.ClosedTable, d.log)
	l.marks = reconcile.NewRuleTable(d.o.Kernel.Marks(), kernel.MarkTable, d.log)
	l.sourceNAT = reconcile.NewRuleTable(d.o.Kernel.SourceNAT(), kernel.SourceNATTable, d.log)
	l.returns = reconcile.NewRuleTable(d.o.Kernel.ReturnPath(), kernel.ReturnTable, d.log)
	l.quiet = newQuietVIPs(d.o.Kernel.QuietFilter(), d.log)
	l.sync = newConnectionSync(d.o.Kernel, state, func() *config.Config { return d.plan.Load().Config }, func() { wake(l.verdicts); d.problems.poke() }, d.log)
	l.table = &table{kernel: d.o.Kernel, state: state, log: d.log, group: l.group}
	l.sockets = &sockets{group: l.group, open: d.o.Kernel.Socket, log: d.log, all: map[vrrp.Segment]socket{}}
	l.instances = &instances{
		group: task.NewGroup(&d.heartbeats), sockets: l.sockets, suspended: d.o.Kernel.Suspended, told: func(id config.InstanceID, e event.Event) { d.transition(l, id, e) }, outranked: func(id config.InstanceID) { tellLower(l, id) }, log: d.log,
		alarm: election.NewAlarm(), starting: true, epoch: election.Epoch{At: time.Now(), Slept: d.o.Kernel.Suspended()}, all: map[config.InstanceID]*instance{},
	}
	l.sessions = &sessions{
		group: l.group, listen: d.o.Kernel.ListenBFD, dial: d.o.Kernel.DialBFD, suspended: d.o.Kernel.Suspended, lost: l.instances.lost,
		record: d.o.Record, changed: func() { wake(l.verdicts) }, log: d.log, links: map[vrrp.Segment]sessionLink{}, all: map[plan.SessionID]*session{},
	}
	l.answers = &answerMonitor{
		kernel: d.o.Kernel, filter: d.filter, plan: d.plan.Load, changed: d.problems.poke,
		sight: func() sight { return l.watcher.seen.Load() }, unset: l.sysctls.Problem,
		table: func() tableState { s, _ := l.table.snapshot(); return s },
	}
	l.silent = d.newSilentPeers(l)
	l.overrides = &overrides{
		state: state, file: func() *config.Config { return d.plan.Load().Config },
		table: func() tableState { s, _ := l.table.snapshot(); return s },
		down:  func(id config.ServerID) bool { c := d.plan.Load().Table.Condition(id); return c.Known && !c.Up },
		whole: l.table.read, count: d.o.Kernel.Services, record: d.o.Record, changed: func() { wake(l.verdicts) }, release: d.releaseDrained,
	}
	l.overrides.open()
	l.directory = tracking.NewDirectory(d.o.Kernel, d.log, func() { l.overrides.follow(l.directory.Listing) })
	l.takeOvers = d.newRecorder()
	l.notifier = notify.New(notify.Options{Run: d.runHook, Record: d.o.Record, Changed: d.problems.poke})
	l.stalls = newStallMonitor(&d.heartbeats, l.instances.candidates, d.log)
	return l, nil
}

// start starts the loops and applies the first file to them. An error here ends the daemon, so that a missing privilege
// or kernel feature is reported at once.
func (d *Director) start(ctx context.Context, l *loops) error {
	cfg := d.o.Config
	limitMemory(cfg)
	d.keepResident()
	d.changed = true
	d.in = plan.Inputs{Config: &config.Config{}, Next: cfg, Node: d.o.Node.Name}
	d.in.Passwords = passwords(cfg, d.o.Node.Name)
	d.plan.Set(plan.Plan{})
	l.state.saved(l.state.SetAddresses(d.claims().Records))
	var err error
	if d.in.Adopted, err = l.table.adopt(cfg); err != nil {
		return err
	}
	l.lacks = d.lackingAtStart(cfg)
	if err := d.startAddresses(l); err != nil {
		return err
	}
	watched, err := d.o.Kernel.Addresses()
	if err != nil {
		return err
	}
	l.watcher = newWatcher(watched, d.o.Kernel.Watch, func(a kernel.IfAddr) { l.addresses.Gone(a.Interface, a.Prefix) }, l.sockets.reopenOn, d.log)
	judged := func(of config.Subject, before, now health.Verdict) {
		d.recordVerdict(of, before, now)
		wake(l.verdicts)
	}
	l.checker = checker.New(d.probe, new(checker.SecretFiles).Read, d.log, judged)
	l.checker.Keep(d.hold, probe.FileLimit)
	l.watches = newWatches(d.o.Kernel, l.watcher, judged, d.log)
	l.hooks.Start(l.notifier)
	l.watcher.look()
	d.ready = starting(time.Now())
	l.directory.Set(cfg.MaintenanceDir)
	for _, t := range append(l.watches.tasks(), l.directory, closing{l.watcher, func() { _ = watched.Close() }}, l.checker, l.sysctls, l.links, l.vipFilter, l.marks, l.sourceNAT, l.returns, l.quiet.loop, l.sync.daemons, l.sync.peers, l.takeOvers, l.gate, l.overrides, l.state) {
		l.group.Start(t)
	}
	if cfg.MaintenanceDir != "" {
		d.awaitListing(l)
	}
	l.overrides.adopt(cfg, d.in.Adopted)
	d.in.OnStandby = l.state.OnStandby()
	if err := d.turn(l); err != nil {
		return err
	}
	if err := l.table.awaitFirst(ctx); err != nil {
		return err
	}
	d.in.Config, d.in.Next, d.in.Adopted, d.in.OnStandby, d.changed = cfg, nil, nil, nil, true
	defer func() { l.instances.starting = false }()
	return d.turn(l)
}

// startAddresses starts the address loop, which has its own handle to the kernel, so that changes of VIPs wait for no
// other loop.
func (d *Director) startAddresses(l *loops) error {
	own, err := d.o.Kernel.Addresses()
	if err != nil {
		return err
	}
	routing, err := d.o.Kernel.Routing()
	if err != nil {
		return errors.Join(err, own.Close())
	}
	announcer := d.o.Kernel.Announcer()
	// A lost lease is reported directly to the election, bypassing the director's own goroutine.
	lost := func(id config.InstanceID, reason string) { l.instances.tell(id, vrrp.Lost{Reason: reason}) }
	l.addresses = reconcile.NewAddresses(own, announcer, lost, d.log)
	l.gate = d.newGate(l)
	l.instances.holder = newGivingWay(l.gate, l.sync.peers.GiveWay)
	l.routes = reconcile.NewRoutes(routing, d.log)
	l.addresses.Tell(l.routes.Held)
	l.group.Start(l.instances.alarm)
	l.group.Start(closing{l.routes, func() { _ = routing.Close() }})
	l.group.Start(closing{l.addresses, func() { _, _ = own.Close(), announcer.Close() }})
	return nil
}

// closing is a task that closes its resources at its end.
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

// verdictPause is the minimum pause between two turns caused by verdicts, so that a thousand verdicts at once do not
// cause a turn each.
const verdictPause = 20 * time.Millisecond

// serve runs turns until ctx ends.
func (d *Director) serve(ctx context.Context, l *loops, heart *heartbeat.Signal) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	checked := l.checker.Ready()
	var last time.Time
	stop, left := ctx.Done(), chan struct{}(nil)
	defer func() { // the hooks and handovers before a stop end by themselves
		if left != nil {
			<-left
		}
	}()
	for {
		wait, verdicts := min(heartbeat.Until(time.Now(), heartbeat.Every), d.ready.wait(time.Now()), d.untilSettled(time.Now()), d.untilStep(time.Now())), l.verdicts
		if left := verdictPause - time.Since(last); left > 0 {
			wait, verdicts = min(wait, left), nil
		}
		timer.Reset(wait)
		heart.Beat()
		select {
		case <-stop:
			d.log.Info("stopping")
			stop, left = nil, make(chan struct{})
			go func() {
				defer close(left)
				d.farewell(l)
			}()
			continue
		case <-left:
			return nil
		case err := <-l.group.Failed():
			return err
		case command := <-d.commands:
			command()
			continue
		case <-d.roles:
			l.instances.endRetired(time.Now())
			if p := d.plan.Load(); !p.TracksInstances() && !p.Suspends() {
				continue
			}
		case <-d.seen:
		case <-verdicts:
			last = time.Now()
			d.in.Verdicts, d.in.HeldBack, d.judged = l.judge(), l.gate.HeldBack(), true
		case <-d.reached:
			d.problems.poke()
		case <-checked:
			checked = nil
			d.problems.poke()
		case <-timer.C:
		}
		if err := d.turn(l); err != nil {
			d.log.Error("cannot apply the plan to the loops; trying again", "error", err)
		}
	}
}

// acceptWithin limits how long a command waits for the director's own loop, which makes a turn within milliseconds.
const acceptWithin = 4 * time.Second

// do runs f in the goroutine of Run and waits for it until ctx ends. If the loop does not take f within acceptWithin, f
// is not run, nor if ctx has ended before; after another error it may still be running. The error is ErrStopped if Run has
// ended.
func (d *Director) do(ctx context.Context, f func()) error {
	if err := ctx.Err(); err != nil { // select would choose at random between an end and a loop that takes f
		return fmt.Errorf("the director's loop was not asked: %w", err)
	}
	done := make(chan struct{})
	accept := time.NewTimer(acceptWithin)
	defer accept.Stop()
	select {
	case d.commands <- func() { defer close(done); f() }:
	case <-d.stopped:
		return ErrStopped
	case <-accept.C:
		if d.loops.Load() == nil {
			return errors.New("the director has not started yet: try again, or see its log")
		}
		return fmt.Errorf("the director's loop does not answer within %s: restart the daemon, and report its log", acceptWithin)
	case <-ctx.Done():
		return fmt.Errorf("the director's loop does not answer: %w", ctx.Err())
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the director has not finished with it: %w", ctx.Err())
	}
}
