package director

import (
	"context"
	"errors"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/reconcile"
)

// setRules sets the rules of one of the packet filter tables.
func setRules(l *loops, of plan.Do, p *plan.Plan) {
	switch of {
	case plan.SetMarks:
		l.marks.Set(p.Marking)
	case plan.ReplaceSource:
		l.sourceNAT.Set(p.SourceNAT)
	case plan.KeepReturn:
		l.returns.Set(p.Return)
	default:
		l.vipFilter.Set(p.Closed)
	}
}

// removeRules removes one of the packet filter tables of a daemon that has ended.
func removeRules[C any](d *Director, k reconcile.RuleKernel[C], table string) error {
	ctx, cancel := context.WithTimeout(context.Background(), kernelWithin)
	defer cancel()
	return reconcile.RemoveRules(ctx, k, table, d.log)
}

// removeVIPRules removes those that concern packets of virtual addresses, which are gone.
func (d *Director) removeVIPRules() error {
	return errors.Join(removeRules(d, d.o.Kernel.VIPFilter(), kernel.ClosedTable), removeRules(d, d.o.Kernel.QuietFilter(), kernel.QuietTable))
}

// removeOldRules removes the tables of an earlier run that are not needed before the elections begin. Those that virtual servers
// need now stay until they are replaced.
func (d *Director) removeOldRules() {
	err := d.removeVIPRules()
	if plan.MarkingOf(d.o.Config, d.o.Node.Name).None() {
		err = errors.Join(err, removeRules(d, d.o.Kernel.Marks(), kernel.MarkTable))
	}
	if plan.SourceNATOf(d.o.Config).None() {
		err = errors.Join(err, removeRules(d, d.o.Kernel.SourceNAT(), kernel.SourceNATTable))
	}
	if plan.ReturnPathOf(d.o.Config).None() {
		err = errors.Join(err, removeRules(d, d.o.Kernel.ReturnPath(), kernel.ReturnTable))
	}
	if err != nil {
		d.log.Error("cannot remove the packet filter rules of an earlier run; the next start tries again", "error", err)
	}
}

// withdrawRules removes tables that are no longer kept.
func withdrawRules(all ...interface {
	Withdraw(ctx context.Context) error
},
) error {
	var failed error
	for _, t := range all {
		ctx, cancel := context.WithTimeout(context.Background(), kernelWithin)
		failed = errors.Join(failed, t.Withdraw(ctx))
		cancel()
	}
	return failed
}
