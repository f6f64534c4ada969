package director

import (
	"context"
	"net/netip"
	"time"

	"github.com/lvs-director/lvs-director/pkg/command"
	"github.com/lvs-director/lvs-director/pkg/election"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/kernel/firewall"
	"github.com/lvs-director/lvs-director/pkg/kernel/syncsock"
	"github.com/lvs-director/lvs-director/pkg/liveness"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/message"
	"github.com/lvs-director/lvs-director/pkg/probe"
	"github.com/lvs-director/lvs-director/pkg/reconcile"
	"github.com/lvs-director/lvs-director/pkg/replication"
	"github.com/lvs-director/lvs-director/pkg/syncpeers"
	"github.com/lvs-director/lvs-director/pkg/tracking"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// Kernel is the access of a director to its host and the network; package host implements it. Each call has its own
// deadline or takes one.
type Kernel interface {
	// Addresses opens a handle to interfaces and addresses that does not block on other handles.
	Addresses() (Addresses, error)
	// Routing opens a handle to the routes and rules with our protocol number.
	Routing() (Routing, error)
	// VirtualLinks opens a handle that adds interfaces for VIPs.
	VirtualLinks() (VirtualLinks, error)
	// Announcer returns a sender of announcements.
	Announcer() Announcer
	// Socket opens a VRRP socket on a segment.
	Socket(on vrrp.Segment) (election.Socket, error)
	// ListenBFD opens a socket for the BFD packets of a segment, DialBFD one for those to a neighbour on it.
	ListenBFD(on vrrp.Segment) (liveness.Listener, error)
	DialBFD(on vrrp.Segment, source, neighbour netip.Addr) (liveness.Sender, error)
	// Hear asks the machines of a segment, targets and its gateway, for an answer, again each time that every has passed, and
	// returns when it has received a packet of one; source is our address. Its error is that of ctx when it ends;
	// kernel.ErrNoNeighbours where machines cannot be asked.
	Hear(ctx context.Context, on vrrp.Segment, source netip.Addr, targets []netip.Addr, every time.Duration) error
	// VRRPDaemons describes the programs of this network namespace that have a VRRP socket; it does not know this process.
	VRRPDaemons() ([]string, error)
	// Advertised returns the virtual routers whose adverts this host sends within a time, on each interface.
	Advertised(within time.Duration) (map[string][]uint8, error)
	// Watch delivers address and link events until ctx ends; an error is returned only if it cannot start.
	Watch(ctx context.Context, deliver func(addr.Event)) error
	Sysctls() reconcile.SysctlKernel
	// SyncDaemons returns the synchronization daemons of IPVS; there are none on a host without IPVS.
	SyncDaemons() reconcile.SyncDaemonKernel
	// OpenSync opens a socket beside those daemons, Connections calls each for every open connection of IPVS.
	OpenSync(at syncsock.Address) (syncpeers.Socket, error)
	Connections(ctx context.Context, each func(lvs.Connection)) error
	// ConnectionStates calls each for every connection of IPVS, with its state; see ipvs.States.
	ConnectionStates(ctx context.Context, each func(c lvs.Connection, state string)) error
	// Marks gives packets firewall marks.
	Marks() reconcile.RuleKernel[kernel.Marking]
	// SourceNAT replaces source addresses in what IPVS sends to real servers.
	SourceNAT() reconcile.RuleKernel[kernel.SourceNAT]
	// ReturnPath keeps the answers of real servers on their way through this host.
	ReturnPath() reconcile.RuleKernel[kernel.ReturnPath]
	// VIPFilter keeps packets from virtual addresses.
	VIPFilter() reconcile.RuleKernel[kernel.Closed]
	// QuietFilter drops resets to connections that IPVS does not know.
	QuietFilter() reconcile.RuleKernel[kernel.Quiet]
	// FindIPVS checks whether the kernel has IPVS: nil, or ipvs.ErrNoIPVS.
	FindIPVS(ctx context.Context) error
	// ConnectionBuckets returns the number of buckets of IPVS's hash table of connections.
	ConnectionBuckets(ctx context.Context) (int, error)
	// Features finds out what the kernel has.
	Features(ctx context.Context) kernel.Features
	// Balancer opens the IPVS table.
	Balancer() (Balancer, error)
	// Services reads the IPVS table with its counters, at low cost.
	Services() ([]lvs.Service, error)
	// Fingerprint returns the same as long as Services does, but for the counters; 0: never the same.
	Fingerprint() (uint64, error)
	// KeepResident keeps the code of this program in memory. It may take as long as the disk does.
	KeepResident() error
	// ShutsDown reports whether the machine is being shut down.
	ShutsDown(ctx context.Context) bool
	// Suspended returns the total time for which the host has been suspended.
	Suspended() time.Duration
	// Firewall reads the packet filter rules for the packets of a family.
	Firewall(ctx context.Context, family kernel.Family) (firewall.Rules, error)
	// Undelivered returns the addresses whose packets are not delivered on this host, also with an error.
	Undelivered(all []kernel.IfAddr) ([]kernel.IfAddr, error)
	// Files and processes that tracks are about.
	tracking.FileKernel
	tracking.DirectoryKernel
	tracking.ProcessKernel
	// RouteInterface returns the interface by which packets to an address leave.
	RouteInterface(to netip.Addr) (string, error)
	// NextHop returns the router to which packets to an address are sent; it is invalid if they are sent directly.
	NextHop(to netip.Addr) (netip.Addr, error)
	// Router returns a router that discards a packet to an address with a time to live of 1; it is invalid if none says so
	// until ctx ends.
	Router(ctx context.Context, to netip.Addr) netip.Addr
	// Source returns the address from which the kernel would send to a target; ENETUNREACH if it has no route.
	Source(target netip.AddrPort) (netip.Addr, error)
	// Probe runs one check; it ends with ctx at the latest.
	Probe(ctx context.Context, t *probe.Target) probe.Result
	// Hold keeps a connection until it or until ends; see probe.Hold.
	Hold(ctx, until context.Context, t *probe.Target, limit time.Duration, opened func()) probe.Result
	// Positions asks a MySQL server for its positions; it ends with ctx at the latest.
	Positions(ctx context.Context, t *probe.Target) (replication.Positions, error)
	// RunHook runs a program until ctx ends, then kills it; with try it only finds out whether it could be run.
	RunHook(ctx context.Context, c command.Command, try bool) command.Outcome
	// Post sends a webhook, SendMail a mail, until ctx ends.
	Post(ctx context.Context, to, authorization string, body []byte) error
	SendMail(ctx context.Context, m message.Mail) error
}

// Addresses are the interfaces and addresses of this host.
type Addresses interface {
	reconcile.AddressKernel
	Links() ([]kernel.Link, error)
	// List lists the addresses of an interface, or of all interfaces if iface is "".
	List(iface string) ([]kernel.Address, error)
	// ListOn lists the addresses of interfaces that Links has returned.
	ListOn(links []kernel.Link) ([]kernel.Address, error)
	Close() error
}

// Routing are the routes and rules of this program on this host. It is not safe for concurrent use.
type Routing interface {
	reconcile.RouteKernel
	Close() error
}

// Announcer announces VIPs. It is not safe for concurrent use.
type Announcer interface {
	reconcile.Announcer
	Close() error
}

// Balancer is the IPVS table.
type Balancer interface {
	reconcile.TableKernel
	// Scheduler checks whether the kernel has a scheduler: nil, or ipvs.ErrNoScheduler.
	Scheduler(ctx context.Context, name string) error
	// Engine checks whether the kernel has a persistence engine: nil, or ipvs.ErrNoEngine.
	Engine(ctx context.Context, name string) error
	// Zero sets the counters of virtual servers to zero, and returns how many there were.
	Zero(ctx context.Context, keys []lvs.Key) (done int, err error)
	Close() error
}

// kernelWithin limits one exchange with the kernel outside the loops.
const kernelWithin = 15 * time.Second
