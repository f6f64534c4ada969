package realserver

import (
	"context"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/reconcile"
	"github.com/lvs-director/lvs-director/pkg/statefile"
	"github.com/lvs-director/lvs-director/pkg/task"
)

// AddressKernel is what the agent needs of package addr. Its calls have deadlines of their own.
type AddressKernel interface {
	Links() ([]addr.Link, error)
	List(iface string) ([]addr.Address, error)
	// Put adds an address; a lease of 0 makes it permanent.
	Put(iface string, p netip.Prefix, lease time.Duration) error
	// Remove deletes an address; one that is absent is no error.
	Remove(iface string, p netip.Prefix) error
	SetUp(iface string) error
}

// Options are what an agent knows.
type Options struct {
	// Config is the validated cluster file; Load reads and validates it again for a reload.
	Config *config.Config
	Load   func() (*config.Config, error)
	// Names are those by which the cluster file may know this node, the likeliest first.
	Names   []string
	Version string
	Started func() // called once, after the first pass; nil: nobody is told
	Log     *slog.Logger
	// Record is told of what happens, and must return at once. Problems are those that the daemon around this has found. Both
	// are optional.
	Record   func(event.Event)
	Problems func() []problem.Finding
}

// Effects are what an agent acts with.
type Effects struct {
	Addresses AddressKernel
	Sysctls   reconcile.SysctlKernel
	// Watch delivers address and link events until ctx ends; what they say does not matter here.
	Watch func(ctx context.Context, deliver func(addr.Event)) error
	// Gateway is the next hop from one of this node's addresses to clients; invalid when there is none.
	Gateway   func(source netip.Addr) (netip.Addr, error)
	StateFile *statefile.File
}

const (
	// sysctlInterval is how often the sysctls are read, which have no events; what failed is tried again then.
	sysctlInterval = 500 * time.Millisecond
	// lookInterval is how often links, addresses and routes are read although no event came.
	lookInterval = 5 * time.Second
	// settle collects the events of one change, and passSpacing keeps two hands that fight over an address from burning
	// the CPU.
	settle      = 5 * time.Millisecond
	passSpacing = 100 * time.Millisecond
	// watchRetry is the wait before a failed subscription to events is tried again.
	watchRetry = time.Second
	// repeatLog is how long the same repair or problem is not logged again.
	repeatLog = time.Minute
)

// Agent is the daemon. New makes it, Run is its life; the other methods may be called from any goroutine.
type Agent struct {
	o          Options
	e          Effects // set by Run
	sysctls    *reconcile.Sysctls
	kick       chan struct{} // something changed: look again
	reloads    chan reload
	reloading  chan struct{} // held by the one who reads the file
	stopped    chan struct{}
	heartbeats heartbeat.Set
	view       atomic.Pointer[view]
	news       news

	// Owned by the loop while it runs, by Run after it.
	cfg       *config.Config
	links     []addr.Link
	addresses []addr.Address
	gateways  map[netip.Addr]netip.Addr // by source; absent: no route
	kept      map[string]*kept
	told      map[string]*told // problems that were logged
	saving    error            // of the stateFile
	looked    time.Time
	stale     bool // links and addresses could not be read
}

// New makes an agent; nothing is touched before Run.
func New(o Options) *Agent {
	a := &Agent{
		o: o, cfg: o.Config,
		kick: make(chan struct{}, 1), reloads: make(chan reload), reloading: make(chan struct{}, 1), stopped: make(chan struct{}),
		kept: map[string]*kept{}, told: map[string]*told{}, news: news{codes: problem.Declared()},
	}
	a.publish(State{}, Found{}, []problem.Finding{{Code: problem.DaemonStarting, Text: "starting"}})
	return a
}

// Withdraw takes back what an earlier run left on a node that the cluster file does not name any more.
func Withdraw(e Effects, log *slog.Logger) error {
	a := New(Options{Log: log})
	a.actWith(e)
	return a.withdraw()
}

// Run keeps this node as the cluster file says until ctx ends; then it removes the VIPs and gives the sysctls back. The
// error says what was not permitted at the start, or what could not be given back.
func (a *Agent) Run(ctx context.Context, e Effects) error {
	defer close(a.stopped)
	a.actWith(e)
	if warning := e.StateFile.Warning(); warning != "" {
		a.o.Log.Warn(warning)
	}
	group, l := task.NewGroup(&a.heartbeats), &loop{Agent: a}
	group.Start(l)
	defer group.Stop()
	ready := l.Ready()
	for {
		select {
		case err := <-group.Failed():
			return err
		case <-ready:
			ready = nil
			if a.o.Started != nil {
				a.o.Started()
			}
			a.news.begin()
		case <-ctx.Done():
			a.o.Log.Info("stopping")
			a.news.end()
			group.Stop()
			return a.withdraw()
		}
	}
}

func (a *Agent) actWith(e Effects) {
	a.e = e
	a.sysctls = reconcile.NewSysctls(reconcile.SysctlOptions{
		Kernel: e.Sysctls, StateFile: e.StateFile, ConfKey: confKey, RecordRight: true, Saved: a.save, Log: a.o.Log,
		OnSet: func(c Change) {
			a.done(c.Key, "sysctl set", "sysctl had been changed: set again", "key", c.Key, "from", c.From, "to", c.To)
		},
		OnRestore: func(c Change) { a.o.Log.Info("sysctl given back", "key", c.Key, "from", c.From, "to", c.To) },
		OnForeign: func(c Change) {
			a.o.Log.Info("sysctl left as somebody else has set it", "key", c.Key, "ours", c.From, "value", c.To)
		},
	})
}

// Heartbeats are the loops of this daemon, for the watchdog.
func (a *Agent) Heartbeats() *heartbeat.Set { return &a.heartbeats }

// node is the name under which the cluster file knows this node; the first of the names if under none.
func (a *Agent) node() string {
	if a.cfg != nil {
		if all := memberships(a.cfg, a.o.Names); len(all) > 0 {
			return all[0].Server
		}
	}
	if len(a.o.Names) == 0 {
		return ""
	}
	return a.o.Names[0]
}
