package plan

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// Inputs are the inputs of a plan.
type Inputs struct {
	// Config is the cluster file that the elections follow. Next, during a reload, is the one that checks and table
	// already follow: a VIP that it adds is added when its virtual servers are in place. nil means Config.
	Config, Next *config.Config
	// Node is the name of this host in the cluster file. Its per_node settings apply.
	Node string
	// Links and Addresses are those of this host as last read, in the kernel's order; Looked says whether they have
	// been read.
	Links     []kernel.Link
	Addresses []kernel.Address
	Looked    bool
	// Before are the links of the previous plan: an interface that has lost its address keeps its previous source.
	Before   []Link
	Verdicts Verdicts
	// Decisions are those of operators about real servers.
	Decisions Decisions
	Adopted   []lvs.Service   // the content of the table at the start
	OnStandby []lvs.OnStandby // what was remembered at the start of pools whose standby servers had the connections
	Memories  Memories        // what the pools of the previous plan remember
	Starts    SlowStarts      // those of the previous plan
	Last      LastKnown       // that of the previous plan
	Now       time.Time       // by which slow starts go on
	// Previous returns the table of the previous plan, as which pools begin that remember nothing yet; nil: there is none.
	Previous func() []lvs.Service
	NotReady string // why this director must not preempt; "" if it may
	// HeldBack says why instances must not be MASTER although nothing of the plan says so.
	HeldBack map[config.InstanceID]string
	Empty    bool // NotReady is that no real server takes connections
	// Active are the instances that are MASTER, or would be if they were ready; needed for virtual servers with ha_suspend only.
	Active   map[config.InstanceID]bool
	Starting bool // the first results of the checks are waited for
	// Standings are those of the instances of this node, by name; needed for tracks of instances only.
	Standings map[string]Standing
	// Unmade says why an interface that a director adds is not there, by its name.
	Unmade map[string]string
	// Steadiness is that of the interfaces of instances with delays.
	Steadiness Steadiness
	// Passwords are the contents of the password files of Config, by file name.
	Passwords map[string]Password
}

// Plan is the desired state of every loop.
type Plan struct {
	Config    *config.Config // the newest file in use, resolved for this node
	Node      config.Director
	Links     []Link     // the segments that carry VRRP, in order
	Instances []Instance // in the order of the file
	Groups    []Group    // likewise
	Checks    []Spec
	Watches   []Watch
	Sessions  []Session
	Sources   Sources
	Table     Table
	Sysctls   map[string]string
	Records   []kernel.IfAddr      // the addresses that this daemon may add, for the state file
	Routing   Routing              // the routes and rules that it may add, likewise
	Closed    kernel.Closed        // virtual addresses that accept only packets for virtual servers
	Marking   kernel.Marking       // which packets get a firewall mark
	SourceNAT kernel.SourceNAT     // which source addresses are replaced
	Return    kernel.ReturnPath    // what keeps answers on their way through this host
	Virtual   []kernel.VirtualLink // the interfaces that it adds
	Sync      ConnectionSync       // of connections with other directors
	Quiet     Quiet                // the packets of connections that are not known yet
	TakeOvers []TakeOver           // that are recorded
	// Missing are VIPs that are not among the addresses; Misplaced those that come before the interface's own address.
	Missing, Misplaced []kernel.IfAddr
	// AddressMissing: no interface has the address that the file gives this director.
	AddressMissing bool
	// LocalMissing are addresses of virtual servers of which this director is a real server too, that no interface has.
	LocalMissing []LocalMissing
	// Stray are VIPs among the addresses that no director has added.
	Stray []kernel.IfAddr
}

// VIPs are the virtual addresses of one instance, which are added and removed together.
type VIPs struct {
	Instance  config.InstanceID
	Name      string // of the instance, for display
	Interface string
	Base      string // the interface below Interface, if a director adds that one; "": Interface
	Addresses []netip.Prefix
	Lease     time.Duration  // kernel lifetime, whole seconds
	Routes    []kernel.Route // added after the addresses
	Rules     []kernel.Rule  // added after the routes

	Placements map[netip.Addr]kernel.Placement // of addresses that differ from the defaults

	Announcements config.Announcements
}

// On returns the interface of one of the addresses.
func (v VIPs) On(p netip.Prefix) string {
	return cmp.Or(v.Placements[p.Addr()].Interface, v.Interface)
}

// Virtual reports whether Interface is one that the director adds.
func (v VIPs) Virtual() bool { return v.Base != "" && v.Base != v.Interface }

// Label returns the name for display; the identity if there is no name.
func (v VIPs) Label() string { return cmp.Or(v.Name, string(v.Instance)) }

// Instance is the desired state of a VRRP instance.
type Instance struct {
	ID         config.InstanceID
	Config     config.Instance // resolved for this node
	Segment    vrrp.Segment    // on which it sends and receives adverts
	Params     vrrp.Params     // with the priority that results from the tracks
	Advertised []netip.Addr
	Excluded   []netip.Addr // held, but not advertised
	Peers      vrrp.Peers
	Faults     []Fault // why it cannot serve: its interface first, then tracks by name
	NotReady   string
	Empty      bool
	Gate       string         // why it must not become MASTER; "" if it may
	Tracks     []Tracked      // what it depends on, by name
	Unsteady   string         // what its interface has lost, or lost a moment ago, and what does not count yet; "" if nothing
	Untracked  string         // what its interface lacks, and what never counts; "" if nothing
	Unfit      string         // why any other director serves better than this one; "" if none does
	shared     []Tracked      // what the other members of its sync group depend on, and it does not
	own        []Fault        // those of Faults that are neither its interface's nor a track's
	sourced    bool           // its adverts have a source, even if the link has none
	file       *config.Config // that it comes from
	pools      []int          // its virtual servers: indexes in the table
}

// Fault is one reason why an instance cannot serve.
type Fault struct {
	Track  config.TrackID // "": the interface, its MTU, or the password file
	Reason string
	// Misfit: this machine does not have what the cluster file says, such as an interface, whatever the network and the servers do.
	Misfit bool
}

// Misfit reports whether one of the faults is a misfit.
func (i Instance) Misfit() bool {
	return slices.ContainsFunc(i.Faults, func(f Fault) bool { return f.Misfit })
}

// Fault returns all faults as text, "" if there are none.
func (i Instance) Fault() string {
	reasons := make([]string, len(i.Faults))
	for n, f := range i.Faults {
		reasons[n] = f.Reason
	}
	return strings.Join(reasons, "; ")
}

// LinkFault reports whether the interface is one of the faults.
func (i Instance) LinkFault() bool {
	return slices.ContainsFunc(i.Faults, func(f Fault) bool { return f.Track == "" })
}

// VIPs returns the addresses that the address loop keeps while the instance is MASTER.
func (i Instance) VIPs() VIPs {
	return VIPs{
		Instance: i.ID, Name: i.Config.Name, Interface: i.Config.Holder(), Base: i.Config.Interface, Addresses: i.Config.Held(), Placements: i.Config.Placements, Routes: i.Config.Routes, Rules: i.Config.Rules, Lease: i.Config.Lease,
		Announcements: i.Config.Announcements,
	}
}

// another reports whether the previous instance of this identity must be stopped and started again to become this one.
func (i Instance) another(before Instance) bool {
	return i.file != before.file && (before.Segment != i.Segment || before.Config.Reload(i.Config) >= config.Restart)
}

// Of returns the plan for in.
func Of(in Inputs) Plan {
	table, file := TableOf(in.next(), in.Node, in.Verdicts), in.Config
	table.Decisions = in.Decisions
	table.Last = in.Last.next(table)
	table = table.remembering(in.Memories, beginning{in.begin(), in.OnStandby}).starting(in.Starts, in.begin(), in.Adopted != nil, in.Now)
	in = in.forNode()
	next := in.next()
	table.Suspended = in.suspended()
	p := Plan{Config: next, Table: table, Sysctls: map[string]string{}}
	p.Node, _ = next.DirectorNamed(in.Node) // a file without this host is refused earlier
	vip := isVIP(in.Config, next)
	p.Links = in.links(p.Node, vip)
	p.Checks, p.Watches, p.Sources = in.checks(), in.watches(), in.sources(p.Node, vipsOf(in.Config, next))
	pools := p.Table.poolsOn()
	for n, cfg := range in.Config.Instances {
		i := in.instance(cfg, p.Link(segmentOf(cfg)), p.Node, vip)
		i.Peers = in.peers(cfg, file.Instances[n], p.Node, i.Params.Source)
		i.file = file
		for _, vip := range cfg.Held() {
			i.pools = append(i.pools, pools[vip.Addr()]...)
		}
		i.Unfit = p.unfit(i)
		i.NotReady = cmp.Or(i.NotReady, p.Table.unasked(i.pools))
		p.Instances = append(p.Instances, i)
	}
	p.join(in.Config)
	p.Sessions = in.sessions(p.Node, vip, p.Instances)
	for _, cfg := range in.files() {
		maps.Copy(p.Sysctls, sysctls(cfg))
		p.Records = append(p.Records, records(cfg)...)
		p.Routing = p.Routing.with(routingOf(cfg))
		p.Virtual = withLinks(p.Virtual, virtualLinks(cfg))
	}
	p.Closed, p.Marking, p.Return = closedBy(in.files()), markingBy(in.files(), in.Node), returnPathBy(in.files())
	p.SourceNAT = sourceNATBy(in.files())
	p.Sync, p.Quiet = in.connectionSync(next, vip), quietBy(next, in.Node, in.Addresses)
	p.TakeOvers = takeOvers(next)
	if in.Looked {
		p.Missing, p.Misplaced = missing(p.VIPs(), in.Links, in.Addresses), misplaced(in.Addresses, vip)
		p.AddressMissing = !slices.ContainsFunc(in.Addresses, func(a kernel.Address) bool { return a.Prefix.Addr() == p.Node.Address })
		p.LocalMissing = localMissing(next, in.Node, in.Addresses)
		p.Stray = stray(in.files(), in.Links, in.Addresses)
	}
	return p
}

// Judged returns the plan that Of would return if only the verdicts, the time, the readiness and the states of instances had
// changed, at a fraction of the cost.
func (p Plan) Judged(in Inputs) Plan {
	p.Table.Verdicts, p.Table.Decisions = in.Verdicts, in.Decisions
	p.Table.Last = p.Table.Last.next(p.Table)
	p.Table = p.Table.remembering(p.Table.Memories, beginning{}).starting(p.Table.Starts, nil, false, in.Now)
	p.Instances = slices.Clone(p.Instances)
	for n := range p.Instances {
		i := &p.Instances[n]
		i.judge(in, p.Link(i.Segment))
		i.Unfit = p.unfit(*i)
		i.NotReady = cmp.Or(i.NotReady, p.Table.unasked(i.pools))
	}
	p.share()
	return p
}

// begin returns the table as which pools begin that remember nothing yet.
func (in Inputs) begin() func() []lvs.Service {
	if in.Adopted != nil || in.Previous == nil {
		return func() []lvs.Service { return in.Adopted }
	}
	return in.Previous
}

// forNode returns the inputs with the files resolved for this node.
func (in Inputs) forNode() Inputs {
	if in.Next == in.Config {
		in.Next = nil
	}
	in.Config = in.Config.ForNode(in.Node)
	if in.Next != nil {
		in.Next = in.Next.ForNode(in.Node)
	}
	return in
}

func (in Inputs) next() *config.Config {
	if in.Next != nil {
		return in.Next
	}
	return in.Config
}

// files returns the files in use, the newest last.
func (in Inputs) files() []*config.Config {
	if in.Next == nil {
		return []*config.Config{in.Config}
	}
	return []*config.Config{in.Config, in.Next}
}

// Link returns the link of a segment; for a segment that is not in the plan, one with a fault.
func (p Plan) Link(on vrrp.Segment) Link {
	if at, found := slices.BinarySearchFunc(p.Links, on, func(l Link, on vrrp.Segment) int { return l.Segment.Compare(on) }); found {
		return p.Links[at]
	}
	return unseen(on)
}

// Instance returns the instance with this identity.
func (p Plan) Instance(id config.InstanceID) (Instance, bool) {
	at := slices.IndexFunc(p.Instances, func(i Instance) bool { return i.ID == id })
	if at < 0 {
		return Instance{}, false
	}
	return p.Instances[at], true
}

// VIPs returns the VIPs of all instances.
func (p Plan) VIPs() []VIPs {
	all := make([]VIPs, len(p.Instances))
	for n, i := range p.Instances {
		all[n] = i.VIPs()
	}
	return all
}

func (in Inputs) instance(cfg config.Instance, link Link, node config.Director, vip func(netip.Addr) bool) Instance {
	source, fault := in.sourceFor(cfg, link, node, vip)
	i := Instance{
		ID: cfg.ID(), Config: cfg, Segment: link.Segment, Tracks: in.tracked(cfg), Advertised: cfg.Advertised(), Excluded: addrs(cfg.ExcludedAddresses),
		Params: vrrp.Params{
			VRID: cfg.VRID, Version: cfg.ProtocolVersion, Priority: cfg.Priority, AdvertInterval: cfg.AdvertInterval,
			Preempt: cfg.Preempt, PreemptDelay: cfg.PreemptDelay, Source: source,
		},
	}
	i.vary()
	i.fit(link)
	i.authenticate(in.Passwords)
	i.sourced = source.IsValid() && fault == ""
	if fault != "" && link.Fault == "" { // otherwise the address may be missing because of it
		i.own = append(i.own, Fault{Reason: fault, Misfit: true})
	}
	i.own = append(i.own, in.deviceFaults(cfg)...)
	i.own = append(i.own, in.virtualFaults(cfg)...)
	i.judge(in, link)
	return i
}

// excuses reports whether the fault of a link is none for the instance: it has its source of adverts elsewhere, or the file says
// that the carrier does not count.
func (i Instance) excuses(link Link) bool {
	if link.NoCarrier {
		return i.sourced && i.Config.DontTrackPrimary
	}
	return i.sourced && link.Unaddressed
}

func (i Instance) faults(link Link, counts bool) []Fault {
	all := slices.Clone(i.own)
	if link.Fault != "" && counts && !i.excuses(link) {
		reason := link.Fault
		if link.NoCarrier && i.Config.DontTrackPrimary {
			reason += "; it has no address for adverts either, without which dont_track_primary has no effect"
		}
		all = append(all, Fault{Reason: reason, Misfit: link.Misfit})
	}
	for _, t := range i.Tracks {
		if t.Effect.Fault {
			all = append(all, Fault{Track: config.TrackID(t.Use.Name), Reason: t.Use.Name + ": " + t.Verdict.Reason})
		}
	}
	return all
}
