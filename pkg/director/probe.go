package director

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/probe"
)

// routeUses is for how many probes the source that the kernel has chosen for a target is used: it does not report all
// changes of routes and policy rules, and to ask it costs as much as half a probe.
const routeUses = 16

// sources are the sources of probes, with those that the kernel has chosen lately. They are replaced when an address, an
// interface or the cluster file changes.
type sources struct {
	plan.Sources
	mu     sync.Mutex
	chosen map[netip.Addr]chosen // by target
}

// chosen is a source and for how many probes more it may be used.
type chosen struct {
	source netip.Addr
	uses   int
}

func newSources(s plan.Sources) *sources {
	return &sources{Sources: s, chosen: map[netip.Addr]chosen{}}
}

// remembered returns the source that the kernel has chosen for a target lately.
func (s *sources) remembered(target netip.Addr) (netip.Addr, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.chosen[target]
	if c.uses == 0 {
		delete(s.chosen, target)
		return netip.Addr{}, false
	}
	c.uses--
	s.chosen[target] = c
	return c.source, true
}

func (s *sources) remember(target, source netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chosen[target] = chosen{source, routeUses - 1}
}

// probe makes a check from the address that its route or its `source` key demands. It is called from many goroutines.
func (d *Director) probe(ctx context.Context, t *probe.Target) probe.Result {
	if !t.Address.IsValid() || networkOf(t) == "" { // nothing is sent
		return d.o.Kernel.Probe(ctx, t)
	}
	sources := d.sources.Load()
	remembered, err := d.choose(sources, t)
	if err != nil {
		return probe.Unsent(t, err)
	}
	return d.accounted(ctx, sources, t, remembered, d.o.Kernel.Probe(ctx, t))
}

// choose sets the source of a probe. It reports whether the kernel has chosen it for an earlier one.
func (d *Director) choose(sources *sources, t *probe.Target) (remembered bool, err error) {
	if t.From == "" {
		if t.Source, remembered = sources.remembered(t.Address.Addr()); remembered {
			return true, nil
		}
	}
	t.Source, err = d.source(sources, t)
	return false, err
}

// accounted returns what the result of a probe says about its server. It is apart from probe because it is not on the stack while the
// probe waits.
func (d *Director) accounted(ctx context.Context, sources *sources, t *probe.Target, remembered bool, r probe.Result) probe.Result {
	if remembered && r.Class != health.Good {
		r = d.probeAgain(ctx, sources, t, r)
	}
	if network := networkOf(t); network == config.OverTCP || network == config.OverUDP {
		r = d.filter.explain(ctx, r, t, d.o.Kernel.RouteInterface)
	}
	if r.Code != health.Timeout && r.Code != health.Unreachable {
		return r
	}
	cut := d.sources.Load().Cut(t.Source)
	if cut == "" && r.Code == health.Timeout {
		cut = connectionTrackingOf(d.o.Kernel.Sysctls()).lostHere()
	}
	if cut != "" {
		r.Code, r.Class, r.Cause = health.NoNetwork, health.Unknown, r.Cause+"; "+cut
	}
	return r
}

// hold keeps a connection, from the address that checks of the same server come from.
func (d *Director) hold(ctx, until context.Context, t *probe.Target, limit time.Duration, opened func()) probe.Result {
	var err error
	if t.Source, err = d.source(d.sources.Load(), t); err != nil {
		return probe.Unsent(t, err)
	}
	return d.o.Kernel.Hold(ctx, until, t, limit, opened)
}

// networkOf returns how a check reaches its server. One without a kind is over TCP.
func networkOf(t *probe.Target) config.Network {
	if t.Kind == nil {
		return config.OverTCP
	}
	return t.Kind.Network()
}

// probeAgain judges a probe that failed from a source that the kernel chose earlier. If the route has changed since
// then, the failure says nothing about the server, and the probe is repeated from the right source, which becomes that of t.
func (d *Director) probeAgain(ctx context.Context, sources *sources, t *probe.Target, failed probe.Result) probe.Result {
	source, err := d.source(sources, t)
	switch {
	case err != nil:
		return probe.Unsent(t, err)
	case source == t.Source:
		return failed
	case ctx.Err() == nil:
		t.Source = source
		return d.o.Kernel.Probe(ctx, t)
	}
	t.Source = source
	failed.Code, failed.Class = health.NoNetwork, health.Unknown
	failed.Cause += "; the route has changed, and probes now come from " + source.String()
	return failed
}

// source returns the source of a probe by its `source` key or the kernel's routes.
func (d *Director) source(sources *sources, t *probe.Target) (netip.Addr, error) {
	target := t.Address.Addr()
	if t.From != "" {
		return sources.Named(t.From, kernel.FamilyOf(target))
	}
	byRoute, err := d.o.Kernel.Source(t.Address)
	if err != nil {
		return netip.Addr{}, err
	}
	own := sources.Route(byRoute)
	if !own.IsValid() && byRoute == target { // a VIP that this director holds
		own = sources.Here(kernel.FamilyOf(target))
	}
	if !own.IsValid() {
		iface, err := d.o.Kernel.RouteInterface(target)
		if err != nil {
			return netip.Addr{}, err
		}
		if own, err = sources.Named(iface, kernel.FamilyOf(byRoute)); err != nil {
			return netip.Addr{}, err
		}
	}
	sources.remember(target, own)
	return own, nil
}
