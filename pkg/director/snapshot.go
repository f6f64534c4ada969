package director

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/lvs-director/lvs-director/pkg/checker"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/kernel/ipvs"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/reconcile"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// view is what other goroutines may see of the director: replaced whole, never changed.
type view struct{ p atomic.Pointer[parts] }

type parts struct {
	cfg       *config.Config
	instances []*instance // only cfg, params' fixed fields and actor may be used
	links     []*link     // only name and link may be used
	checker   *checker.Checker
	table     *table
	sysctls   *reconcile.Sysctls
}

func (v *view) load() *parts { return v.p.Load() }

// publish replaces the view; called by the goroutine that owns the director after every command.
func (d *Director) publish() {
	p := &parts{cfg: d.cfg, checker: d.checker, table: d.table, sysctls: d.sysctls}
	for _, base := range d.cfg.Instances { // the order of the file
		if i := d.instances[base.Name]; i != nil {
			p.instances = append(p.instances, i)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.links)) {
		p.links = append(p.links, d.links[name])
	}
	d.view.p.Store(p)
}

// Status says how everything stands. It may be called from any goroutine at any time and waits for none of the loops.
func (d *Director) Status() status.Director {
	p := d.view.load()
	s := status.Director{
		Head:           status.Head{Node: d.name, Role: "director", Version: d.version, ConfigDigest: p.cfg.Digest, Process: process()},
		Instances:      []status.Instance{},
		VirtualServers: []status.VirtualServer{},
	}
	for _, i := range p.instances {
		s.Instances = append(s.Instances, instanceStatus(i))
		if late := tooLate(i.actor.Snapshot()); late != "" {
			s.Problems = append(s.Problems, i.cfg.Name+": "+late)
		}
		s.Problems = append(s.Problems, neighbourProblems(p.cfg, d.name, i.cfg, i.actor.Snapshot())...)
	}
	for _, l := range p.links {
		received, dropped := l.link.Counters()
		s.Interfaces = append(s.Interfaces, status.Interface{Name: l.name, Received: received, Dropped: dropped})
		if broken := l.link.Broken(); broken != "" {
			s.Problems = append(s.Problems, fmt.Sprintf("no VRRP socket on %s: %s", l.name, broken))
		}
		if flood := l.link.Flood(); flood != "" {
			s.Problems = append(s.Problems, l.name+": "+flood)
		}
	}
	if standing := d.standstill.Load(); standing != nil && *standing != "" {
		s.Problems = append(s.Problems, *standing)
	}
	if unsaved := d.unsaved.Load(); unsaved != nil {
		s.Problems = append(s.Problems, *unsaved)
	}
	if p.sysctls != nil && p.sysctls.Problem() != "" {
		s.Problems = append(s.Problems, "the sysctls are not as they should be: "+p.sysctls.Problem())
	}
	if p.checker == nil {
		s.Problems = append(s.Problems, "the director has not started yet")
		return s
	}
	for _, t := range p.cfg.Tracks {
		if !d.tracked(p.cfg, t.Name) {
			continue
		}
		v := p.checker.Verdict(trackCheck(t.Name))
		s.Tracks = append(s.Tracks, status.Track{Name: t.Name, State: word(v), Code: string(v.Code), Reason: v.Reason, Since: v.Since})
	}
	if p.table == nil {
		return s
	}
	if problem := p.table.loop.Problem(); problem != "" {
		s.Problems = append(s.Problems, "the IPVS table is not as it should be: "+problem)
	}
	kernel, err := ipvs.Snapshot()
	if err != nil {
		s.Problems = append(s.Problems, err.Error())
	}
	for _, v := range p.cfg.VirtualServers {
		s.VirtualServers = append(s.VirtualServers, d.virtualServerStatus(p, v, kernel))
	}
	return s
}

// Record is what an instance did last, or what all of them did when the name is "", each under a line of comment with its
// name. Any goroutine may ask.
func (d *Director) Record(instance string) (string, error) {
	var text strings.Builder
	var names []string
	for _, i := range d.view.load().instances {
		names = append(names, i.cfg.Name)
		if instance == "" || instance == i.cfg.Name {
			fmt.Fprintf(&text, "# instance %s\n%s", i.cfg.Name, i.actor.Record())
		}
	}
	switch {
	case text.Len() > 0:
		return text.String(), nil
	case len(names) == 0:
		return "", errors.New("this director has no VRRP instances")
	default:
		return "", fmt.Errorf("no VRRP instance %s here: there is %s", instance, strings.Join(names, ", "))
	}
}

func instanceStatus(i *instance) status.Instance {
	a := i.actor.Snapshot()
	s := status.Instance{
		Name: i.cfg.Name, State: a.State.String(), Reason: a.Reason, Since: a.Since,
		Priority: int(i.cfg.Priority), EffectivePriority: int(a.Priority), VirtualRouterID: int(i.cfg.VRID),
		Interface: i.cfg.Interface, VirtualAddresses: []string{},
		AdvertsSent: a.AdvertsSent, AdvertsReceived: a.AdvertsReceived, Dropped: a.Dropped,
		AdvertLateness: lateness(a.Lateness),
	}
	if a.Master.IsValid() && a.MasterPriority != 0 {
		s.Master, s.MasterPriority = a.Master.String(), int(a.MasterPriority)
	}
	for _, p := range i.cfg.VirtualAddresses {
		s.VirtualAddresses = append(s.VirtualAddresses, p.String())
	}
	return s
}

func (d *Director) virtualServerStatus(p *parts, v config.VirtualServer, kernel []lvs.Service) status.VirtualServer {
	s := status.VirtualServer{
		Name: v.Name, Address: v.Address.String(), Port: int(v.Port), Protocol: v.Protocol, Scheduler: v.Scheduler,
		Forward: string(v.Forward), RealServers: []status.RealServer{},
	}
	var have lvs.Service
	if at := slices.IndexFunc(kernel, func(s lvs.Service) bool { return s.Key == lvs.KeyOf(v) }); at >= 0 {
		have = kernel[at]
	}
	for _, r := range v.RealServers {
		s.RealServers = append(s.RealServers, realServerStatus(p.checker, v, r, have))
	}
	s.State, s.Reason = poolState(s.RealServers)
	return s
}

// poolState sums up a pool. Unknown is not down: a real server that the checks say nothing of and that stands in the table
// takes connections.
func poolState(pool []status.RealServer) (state, reason string) {
	up, kept := 0, 0
	for _, r := range pool {
		switch {
		case r.State == "up":
			up++
		case r.State == "unknown" && r.Weight > 0:
			kept++
		}
	}
	switch {
	case up == len(pool):
		return "up", fmt.Sprintf("all %d real servers are up", up)
	case kept > 0:
		return "degraded", fmt.Sprintf("%d of %d real servers are up; %d more serve and cannot be checked", up, len(pool), kept)
	case up > 0:
		return "degraded", fmt.Sprintf("%d of %d real servers are up", up, len(pool))
	default:
		return "down", "no real server is up"
	}
}

func realServerStatus(c *checker.Checker, v config.VirtualServer, r config.RealServer, have lvs.Service) status.RealServer {
	verdict := c.Verdict(serverCheck(v.Name, r.Name))
	s := status.RealServer{
		Name: r.Name, Address: r.Address.String(), Port: int(r.Port), ConfiguredWeight: r.Weight,
		State: word(verdict), Code: string(verdict.Code), Reason: verdict.Reason, Since: verdict.Since,
	}
	for _, k := range have.Servers {
		if k.Address == r.Address && k.Port == r.Port {
			s.Weight, s.ActiveConnections, s.InactiveConnections = k.Weight, k.ActiveConnections, k.InactiveConnections
		}
	}
	return s
}

func word(v health.Verdict) string {
	switch {
	case !v.Known:
		return "unknown"
	case v.Up:
		return "up"
	default:
		return "down"
	}
}
