package director

import (
	"context"
	"net/netip"

	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/probe"
)

// probe makes a check from the address that its route or its `source` key demands. It is called from many goroutines.
func (d *Director) probe(ctx context.Context, t probe.Target) probe.Result {
	sources := d.sources.Load()
	var err error
	if t.Source, err = d.source(sources, t); err != nil {
		return probe.Unsent(t, err)
	}
	r := d.o.Kernel.Probe(ctx, t)
	if r.Code != health.Timeout && r.Code != health.Unreachable {
		return r
	}
	if cut := d.sources.Load().Cut(t.Source); cut != "" {
		r.Code, r.Class, r.Cause = health.NoNetwork, health.Unknown, r.Cause+"; "+cut
	}
	return r
}

func (d *Director) source(sources plan.Sources, t probe.Target) (netip.Addr, error) {
	if t.From != "" {
		return sources.Named(t.From, kernel.FamilyOf(t.Address.Addr()))
	}
	chosen, err := d.o.Kernel.Source(t.Address)
	if err != nil {
		return netip.Addr{}, err
	}
	if own := sources.Route(chosen); own.IsValid() {
		return own, nil
	}
	iface, err := d.o.Kernel.RouteInterface(t.Address.Addr())
	if err != nil {
		return netip.Addr{}, err
	}
	return sources.Named(iface, kernel.FamilyOf(chosen))
}
