package director

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/election"
	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/notify"
	"github.com/lvs-director/lvs-director/pkg/override"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/reconcile"
	"github.com/lvs-director/lvs-director/pkg/status"
	"github.com/lvs-director/lvs-director/pkg/syncpeers"
	"github.com/lvs-director/lvs-director/pkg/takeover"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// snapshots are the states of all loops at one moment.
type snapshots struct {
	plan      plan.Plan
	started   bool
	pools     bool // verdicts, services and unread have been queried
	instances map[config.InstanceID]*election.Snapshot
	sockets   map[vrrp.Segment]election.LinkSnapshot
	sessions  []sessionState
	verdicts  plan.Verdicts
	overrides override.Set
	// maintenance is why maintenance_dir cannot be read; "" if it can.
	maintenance string
	lacks       map[string]string // see loops
	balances    bool              // there is a table
	table       string
	services    []lvs.Service // with their counters if they were read from the kernel
	known       bool          // services are the content of the table
	counted     bool          // services have their numbers of connections
	measured    []lvs.Service // the last complete read, with what the kernel has counted
	readAt      time.Time     // when that was
	unread      string        // why services are not known; "" if they are
	checked     bool          // every check has had a result
	stall       string
	unsaved     string
	unseen      string         // why interfaces and addresses cannot be read
	networks    []netip.Prefix // the addresses of this machine
	sysctls     string
	sync        []reconcile.SyncDaemonProblem
	exchange    syncpeers.Snapshot
	marks       string       // why packets are not marked
	sourceNAT   string       // why source addresses are not replaced
	returns     string       // why answers may leave their way through this host
	unknown     []netip.Addr // addresses of directors whose hardware address is not known
	neighbours  string       // why these cannot be read; "" if they can
	filter      string       // why virtual addresses accept packets that they must not
	quiet       string       // why unknown connections may be reset
	answers     []problem.Finding
	silent      map[config.InstanceID]silentPeer
	vips        []reconcile.Trouble
	routing     []reconcile.RoutingTrouble
	hooks       []notify.Failure
	takeOvers   []takeover.Failure
	waiting     []takeover.Waiting
	recorded    func(config.InstanceID) *status.TakeOver // nil before the start
}

// Status returns the status document. It may be called from any goroutine at any time and does not wait for the loops.
func (d *Director) Status() status.Director {
	doc := d.problems.examine(withCounters)
	doc.Node, doc.Role, doc.Version, doc.Process = d.o.Node.Name, "director", d.o.Version, process()
	if len(d.running().VirtualServers) > 0 { // without them IPVS is not needed, and asking could load it
		doc.Kernel = d.features.get(d.o.Kernel, time.Now())
	}
	onWallClock(&doc, time.Now())
	return doc
}

// onWallClock shows the times of a document on the clock as it is set now; see event.Wall.
func onWallClock(doc *status.Director, now time.Time) {
	if !doc.TrafficReadAt.IsZero() {
		doc.TrafficReadAt = event.Wall(doc.TrafficReadAt, now)
	}
	for i := range doc.Instances {
		doc.Instances[i].Since = event.Wall(doc.Instances[i].Since, now)
		for j, p := range doc.Instances[i].UnicastPeers {
			if !p.LastHeard.IsZero() {
				doc.Instances[i].UnicastPeers[j].LastHeard = event.Wall(p.LastHeard, now)
			}
		}
	}
	if doc.ConnectionSync != nil {
		for i, p := range doc.ConnectionSync.Peers {
			doc.ConnectionSync.Peers[i].LastHeard = event.Wall(p.LastHeard, now)
		}
	}
	for i := range doc.Tracks {
		doc.Tracks[i].Since = event.Wall(doc.Tracks[i].Since, now)
	}
	for i := range doc.BFDSessions {
		doc.BFDSessions[i].Since = event.Wall(doc.BFDSessions[i].Since, now)
	}
	for i := range doc.VirtualServers {
		servers := doc.VirtualServers[i].RealServers
		for j := range servers {
			servers[j].Since = event.Wall(servers[j].Since, now)
		}
	}
}

// depth is how much is queried for an examination.
type depth int

const (
	nodeOnly     depth = iota // instances, sockets and the states of the loops
	withPools                 // and the real servers and tracks, as the table loop knows them
	withCounters              // and as the kernel has them: a read of the whole IPVS table
)

// snapshots queries the loops.
func (d *Director) snapshots(much depth) snapshots {
	s := snapshots{plan: d.plan.Load()}
	if s.plan.Config == nil { // the start has not made a plan yet
		s.plan = plan.Plan{Config: d.o.Config, Node: d.o.Node}
	}
	l := d.loops.Load()
	if l == nil {
		return s
	}
	s.started = true
	s.instances, s.sockets = l.instances.snapshots(), l.sockets.snapshots()
	s.sessions, s.lacks = l.sessions.snapshots(), l.lacks
	s.stall, s.unsaved, s.sysctls = l.stalls.Snapshot(), l.state.Problem(), l.sysctls.Problem()
	s.sync, s.exchange = l.sync.daemons.Problems(), l.sync.peers.Snapshot()
	s.overrides, s.maintenance = l.overrides.load(), l.directory.Listing().Problem
	s.takeOvers, s.waiting = l.takeOvers.Failures(), l.gate.Waiting()
	s.recorded = func(id config.InstanceID) *status.TakeOver { return takeOverStatus(l.takeOvers.Last(id)) }
	s.filter, s.marks, s.quiet, s.returns = l.vipFilter.Problem(), l.marks.Problem(), l.quiet.loop.Problem(), l.returns.Problem()
	s.sourceNAT = l.sourceNAT.Problem()
	s.unknown, s.neighbours = l.marks.Incomplete()
	s.answers, s.silent = l.answers.Findings(), l.silent.found()
	s.vips, s.unseen = l.addresses.Troubles(), l.watcher.Problem()
	s.routing, s.hooks = l.routes.Troubles(), l.notifier.Failures()
	select {
	case <-l.checker.Ready():
		s.checked = true
	default:
	}
	if s.balances = l.table.runs(); s.balances {
		reached, _ := l.table.snapshot()
		s.table, s.services, s.known = reached.Problem, reached.Services, reached.Known
		s.measured, s.readAt = reached.Services, reached.ReadAt
	}
	if much == nodeOnly {
		return s
	}
	s.instances = l.instances.counted()
	for _, a := range l.watcher.seen.Load().addresses {
		s.networks = append(s.networks, a.Prefix)
	}
	s.verdicts, s.pools = l.judge(), true
	if s.balances && much == withCounters {
		found, err := d.o.Kernel.Services()
		if err != nil {
			s.unread = err.Error()
		} else {
			s.services, s.known, s.counted = found, true, true
		}
	}
	return s
}

// Record returns the record of an instance, or of all instances if the name is ""; see election.Actor.Record.
func (d *Director) Record(instance string) (string, error) {
	l := d.loops.Load()
	if l == nil {
		return "", fmt.Errorf("the director has not started yet")
	}
	return l.instances.record(instance)
}

// report builds the document without its problems and the fields about the daemon.
func report(s snapshots) status.Director {
	doc := status.Director{Instances: []status.Instance{}, VirtualServers: []status.VirtualServer{}}
	doc.ConfigDigest = s.plan.Config.Digest
	for _, i := range s.plan.Instances {
		if a, runs := s.instances[i.ID]; runs {
			one := instanceStatus(i.Config, a)
			if p, asked := s.silent[i.ID]; asked && p.address == a.SilentPeer && p.since.Equal(a.Since) {
				one.Reason += "; " + p.sentence()
				one.SilentPeer = &status.SilentPeer{Address: p.address.String(), AnswersARP: p.answers}
			}
			if s.recorded != nil {
				one.TakeOver = s.recorded(i.ID)
			}
			one.Tracks, one.UnannouncedOn = trackStatus(i), untold(s, i.ID)
			if h := a.Handover; h.Done {
				one.HandedOverSince = &h.Since
			}
			for _, vip := range i.Config.Outside(s.networks) {
				one.OutsideNetworks = append(one.OutsideNetworks, vip.String())
			}
			doc.Instances = append(doc.Instances, one)
		}
	}
	for _, on := range slices.SortedFunc(maps.Keys(s.sockets), vrrp.Segment.Compare) {
		l := s.sockets[on]
		doc.Interfaces = append(doc.Interfaces, status.Interface{
			Name: on.Interface, Family: on.Family.String(), Received: l.Received, Dropped: l.Dropped,
		})
	}
	doc.BFDSessions = sessionStatus(s.sessions)
	doc.SyncGroups = syncGroupStatus(s)
	doc.ConnectionSync = exchangeStatus(s)
	if !s.pools {
		return doc
	}
	for _, t := range s.plan.Tracks() {
		v := trackVerdict(s, t)
		doc.Tracks = append(doc.Tracks, status.Track{Name: t.Name, State: word(v), Code: string(v.Code), Reason: v.Reason, Since: v.Since})
	}
	doc.Overrides = overridesStatus(s, time.Now())
	if !s.balances {
		return doc
	}
	have := make(map[lvs.Key]lvs.Service, len(s.services))
	for _, service := range s.services {
		have[service.Key] = service
	}
	known := s.plan.Table.Judged(s.verdicts)
	for _, v := range s.plan.Config.VirtualServers {
		doc.VirtualServers = append(doc.VirtualServers, virtualServerStatus(v, known, func(key lvs.Key) lvs.Table {
			return lvs.Table{Have: have[key], Known: s.known, Differs: s.table != "", Counted: s.counted}
		}))
	}
	overrideServers(&doc, s, time.Now())
	addTraffic(&doc, s)
	return doc
}

// verdictOf returns the verdict of a subject; if the checks do not know it yet, that of a subject that has not been
// checked.
func verdictOf(verdicts plan.Verdicts, subject config.Subject) health.Verdict {
	if v, known := verdicts.Of(subject); known {
		return v
	}
	return health.All([]health.State{health.New(1, 1)})
}

// untold returns the interfaces on which an instance holds VIPs that it announces to nobody.
func untold(s snapshots, instance config.InstanceID) (on []string) {
	for _, t := range s.vips {
		if t.Instance == instance && t.Untold {
			on = append(on, t.Interface)
		}
	}
	return on
}

func instanceStatus(cfg config.Instance, a *election.Snapshot) status.Instance {
	s := status.Instance{
		Name: cfg.Name, State: a.State.String(), Reason: a.Reason, Since: a.Since,
		Priority: int(cfg.Priority), EffectivePriority: int(a.Priority), VirtualRouterID: int(cfg.VRID),
		Interface: cfg.Interface, VirtualAddresses: []string{},
		AdvertsSent: a.AdvertsSent, AdvertsReceived: a.AdvertsReceived, Dropped: a.Dropped,
		FalseAlarms: a.FalseAlarms, AdvertLateness: lateness(a.Lateness),
	}
	if link, used := cfg.VirtualLink(); used {
		s.VirtualInterface, s.VirtualMAC = link.Name, link.HardwareAddr
	}
	if a.Master.IsValid() && a.MasterPriority != 0 {
		s.Master, s.MasterPriority = a.Master.String(), int(a.MasterPriority)
	}
	for _, p := range a.UnicastPeers {
		s.UnicastPeers = append(s.UnicastPeers, status.UnicastPeer{Address: p.Address.String(), LastHeard: p.Heard})
	}
	for _, p := range cfg.VirtualAddresses {
		s.VirtualAddresses = append(s.VirtualAddresses, p.String())
	}
	for _, r := range cfg.Routes {
		s.Routes = append(s.Routes, r.String())
	}
	for _, r := range cfg.Rules {
		s.Rules = append(s.Rules, r.String())
	}
	for _, p := range cfg.ExcludedAddresses {
		s.ExcludedAddresses = append(s.ExcludedAddresses, p.String())
	}
	return s
}
