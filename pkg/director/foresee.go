package director

import (
	"context"
	"errors"
	"fmt"

	"github.com/lvs-director/lvs-director/pkg/clusterfile"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// ErrLarge is wrapped by the error of a reload that would remove most real servers. Nothing has changed.
var ErrLarge = errors.New("refused, because the file may be a mistake: see lvsctl diff; lvsctl reload --force applies it")

// admit returns an error if a reload would remove most real servers, unless force is set: then it logs them.
func (d *Director) admit(cfg *config.Config, force bool) error {
	removal := lvs.Removed(d.running().VirtualServers, cfg.VirtualServers)
	if !removal.Large() {
		return nil
	}
	if !force {
		return fmt.Errorf("the new cluster file does not have %s: %w", removal, ErrLarge)
	}
	d.log.Warn("the new cluster file removes most real servers", "removed", removal.String())
	return nil
}

// Table returns the content of the kernel's table; with foreign only the virtual servers that are not ours. It may be
// called from any goroutine.
func (d *Director) Table(ctx context.Context, foreign bool) (status.Table, error) {
	have, err := d.readTable(ctx)
	if err != nil {
		return status.Table{}, err
	}
	if foreign {
		want, ours := d.wanted()
		alien := map[lvs.Key]bool{}
		for _, key := range lvs.Foreign(want, have, ours) {
			alien[key] = true
		}
		kept := have[:0]
		for _, s := range have {
			if alien[s.Key] {
				kept = append(kept, s)
			}
		}
		have = kept
	}
	return status.Table{Rules: append([]string{}, lvs.Commands(have)...)}, nil
}

// Difference returns what a reload of a valid file would change in the kernel's table. A file that a reload refuses is an
// error.
func (d *Director) Difference(ctx context.Context, cfg *config.Config) (status.Difference, error) {
	if problems := cfg.NoLonger(d.o.Node.Name); problems != nil {
		return status.Difference{}, &clusterfile.InvalidError{Problems: problems}
	}
	if err := usable(d.o.Kernel, cfg); err != nil {
		return status.Difference{}, err
	}
	table := d.plan.Load().Table
	doc := status.Difference{Changes: []string{}, AfterChecks: []string{}, Removed: []string{}}
	if len(cfg.VirtualServers) == 0 && len(table.Servers) == 0 { // elections only; there may be no IPVS
		return doc, nil
	}
	have, err := d.readTable(ctx)
	if err != nil {
		return doc, err
	}
	_, ours := d.wanted()
	f := table.Foresee(cfg, have, d.decisionsIn(cfg), ours)
	for _, op := range f.Ops {
		doc.Changes = append(doc.Changes, op.String())
	}
	for _, op := range f.Later {
		doc.AfterChecks = append(doc.AfterChecks, op.String())
	}
	for _, id := range f.Removal.Gone {
		doc.Removed = append(doc.Removed, id.String())
	}
	doc.RealServers, doc.NeedsForce = f.Removal.Of, f.Removal.Large()
	return doc, nil
}

// wanted returns the virtual servers that the plan wants, without their pools, and whether others are ours by the state
// file.
func (d *Director) wanted() ([]lvs.Service, func(lvs.Key) bool) {
	ours := func(lvs.Key) bool { return false }
	if l := d.loops.Load(); l != nil {
		ours = l.state.HasService
	}
	return plan.TableOf(d.running(), d.o.Node.Name, plan.Verdicts{}).Desired(nil), ours
}

// running returns the file of the plan; before the first plan that of the start.
func (d *Director) running() *config.Config {
	if cfg := d.plan.Load().Config; cfg != nil {
		return cfg
	}
	return d.o.Config
}

// readTable reads the whole table by a handle of its own, so that the table loop does not wait for it.
func (d *Director) readTable(ctx context.Context) ([]lvs.Service, error) {
	ctx, cancel := context.WithTimeout(ctx, kernelWithin)
	defer cancel()
	balancer, err := d.o.Kernel.Balancer()
	if err != nil {
		return nil, err
	}
	have, err := balancer.Read(ctx)
	return have, errors.Join(err, balancer.Close())
}
