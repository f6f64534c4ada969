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
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/kernel/firewall"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/reconcile"
	"github.com/lvs-director/lvs-director/pkg/statefile"
	"github.com/lvs-director/lvs-director/pkg/task"
)

// AddressKernel is the part of package addr that the agent uses. Every call has its own deadline.
type AddressKernel interface {
	Links() ([]addr.Link, error)
	List(iface string) ([]addr.Address, error)
	// Put adds an address; a lease of 0 makes it permanent.
	Put(iface string, p netip.Prefix, lease time.Duration) error
	// Remove deletes an address. Removing an absent address is not an error.
	Remove(iface string, p netip.Prefix) error
	SetUp(iface string) error
}

// Options are the parameters of an agent.
type Options struct {
	// Config is the validated cluster file; Load reads and validates it again for a reload.
	Config *config.Config
	Load   func() (*config.Config, error)
	// Names are the names by which the cluster file may know this node, the most likely first.
	Names   []string
	Version string
	Started func() // called once, after the first pass; may be nil
	Log     *slog.Logger
	// Record receives events and must return at once. Problems returns the problems that the surrounding daemon has
	// found. Both are optional.
	Record   func(event.Event)
	Problems func() []problem.Finding
}

// Effects are the agent's interfaces to the system.
type Effects struct {
	Addresses AddressKernel
	Sysctls   reconcile.SysctlKernel
	// Watch delivers address and link events until ctx ends. Their content is not used.
	Watch func(ctx context.Context, deliver func(addr.Event)) error
	// Gateway returns the next hop from one of this node's addresses to clients; invalid if there is none.
	Gateway func(source netip.Addr) (netip.Addr, error)
	// Listeners returns the listening sockets of a protocol, "tcp" or "udp"; see package listen. Optional.
	Listeners func(protocol string) ([]netip.AddrPort, error)
	// Local reports whether packets to an address are delivered on this node. Optional.
	Local func(netip.Addr) (bool, error)
	// Firewall reads the packet filter rules of a family; see package firewall. Optional.
	Firewall  func(context.Context, kernel.Family) (firewall.Rules, error)
	StateFile *statefile.File
}

const (
	// sysctlInterval is how often the sysctls are read, for which there are no events. Failed changes are retried then.
	sysctlInterval = 500 * time.Millisecond
	// lookInterval is how often links, addresses and routes are read without an event.
	lookInterval = 5 * time.Second
	// settle is the wait for more events of the same change. passSpacing is the minimum interval between passes, which
	// limits the CPU use while another process keeps deleting an address.
	settle      = 5 * time.Millisecond
	passSpacing = 100 * time.Millisecond
	// watchRetry is the wait before a failed subscription to events is tried again.
	watchRetry = time.Second
	// logInterval is the minimum interval between log messages about the same repair or problem.
	logInterval = time.Minute
)

// Agent is the daemon. New makes it and Run runs it; the other methods may be called from any goroutine.
type Agent struct {
	o          Options
	e          Effects // set by Run
	sysctls    *reconcile.Sysctls
	kick       chan struct{} // something changed: make a pass
	reloads    chan reload
	reloading  chan struct{} // semaphore of capacity 1: one Reload at a time
	stopped    chan struct{}
	heartbeats heartbeat.Set
	view       atomic.Pointer[view]
	changes    changes

	// Owned by the loop while it runs, then by Run.
	cfg            *config.Config
	links          []addr.Link
	addresses      []addr.Address
	gateways       map[netip.Addr]netip.Addr // by source; absent: no route
	noRoute        map[netip.Addr]bool       // the VIPs from which there is no route to clients in other networks; of mixed tunnels only
	listening      listeners
	tunnelPorts    tunnelPorts
	filter         filterReader
	kept           map[string]*kept
	loggedProblems map[string]*loggedProblem // problems that were logged
	saving         error                     // the last error of writing the state file; nil if it is saved
	looked         time.Time
	stale          bool // links and addresses could not be read
}

// New makes an agent. It changes nothing on the node before Run.
func New(o Options) *Agent {
	a := &Agent{
		o: o, cfg: o.Config,
		kick: make(chan struct{}, 1), reloads: make(chan reload), reloading: make(chan struct{}, 1), stopped: make(chan struct{}),
		kept: map[string]*kept{}, loggedProblems: map[string]*loggedProblem{}, changes: changes{codes: problem.Declared()},
	}
	a.publish(State{}, Found{}, []problem.Finding{{Code: problem.DaemonStarting, Text: "starting"}})
	return a
}

// Withdraw removes what an earlier run left on a node that the cluster file no longer names.
func Withdraw(e Effects, log *slog.Logger) error {
	a := New(Options{Log: log})
	a.actWith(e)
	return a.withdraw()
}

// Run keeps this node in the state that the cluster file requires until ctx ends; then it removes the VIPs and restores
// the sysctls. The error says what was not permitted at the start, or what could not be undone at the end.
func (a *Agent) Run(ctx context.Context, e Effects) error {
	defer close(a.stopped)
	a.actWith(e)
	if warning := e.StateFile.Warning(); warning != "" {
		a.o.Log.Warn(warning)
	}
	group, l := task.NewGroup(&a.heartbeats), &loop{Agent: a}
	group.Start(l)
	if a.filter.read != nil {
		group.Start(&a.filter)
	}
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
			a.changes.begin()
		case <-ctx.Done():
			a.o.Log.Info("stopping")
			a.changes.end()
			group.Stop()
			return a.withdraw()
		}
	}
}

func (a *Agent) actWith(e Effects) {
	a.e = e
	a.filter.read, a.filter.poke = e.Firewall, make(chan struct{}, 1)
	a.sysctls = reconcile.NewSysctls(reconcile.SysctlOptions{
		Kernel: e.Sysctls, StateFile: e.StateFile, ConfKey: confKey, RecordRight: true, Saved: a.save, Log: a.o.Log,
		OnSet: func(c Change) {
			a.done(c.Key, "sysctl set", "sysctl had been changed: set again", "key", c.Key, "from", c.From, "to", c.To)
		},
		OnRestore: func(c Change) { a.o.Log.Info("sysctl restored", "key", c.Key, "from", c.From, "to", c.To) },
		OnForeign: func(c Change) {
			a.o.Log.Info("sysctl was changed by another process; not restored", "key", c.Key, "ours", c.From, "value", c.To)
		},
	})
}

// Heartbeats are the loops of this daemon, for the watchdog.
func (a *Agent) Heartbeats() *heartbeat.Set { return &a.heartbeats }

// node returns the name by which the cluster file knows this node, or the first of Names if there is none.
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
