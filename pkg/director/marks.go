package director

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/reconcile"
)

// unmark removes the marking rules of this daemon.
func unmark(k reconcile.RuleKernel[kernel.Marking], log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(context.Background(), kernelWithin)
	defer cancel()
	removed, err := k.Remove(ctx)
	if err != nil {
		return fmt.Errorf("remove the marking rules: %w (nft delete table inet %s)", err, kernel.MarkTable)
	}
	if removed {
		log.Info("removed the marking rules", "table", kernel.MarkTable)
	}
	return nil
}

// unmarkOld removes the marking rules of an earlier run if none are needed now. Otherwise they mark on until they are replaced.
func (d *Director) unmarkOld() {
	if !plan.MarkingOf(d.o.Config, d.o.Node.Name).None() {
		return
	}
	if err := unmark(d.o.Kernel.Marks(), d.log); err != nil {
		d.log.Error("cannot remove the marking rules of an earlier run; the next start tries again", "error", err)
	}
}

// withdrawMarks removes the marking rules, when the virtual servers are gone.
func (d *Director) withdrawMarks(l *loops) error {
	err := unmark(d.o.Kernel.Marks(), d.log)
	if errors.Is(err, kernel.ErrNotPermitted) && !l.marks.Put() {
		return nil // a daemon without this permission has set no rules
	}
	return err
}

// setRules sets the rules of one of the packet filter tables.
func setRules(l *loops, of plan.Do, p *plan.Plan) {
	if of == plan.SetMarks {
		l.marks.Set(p.Marking)
	} else {
		l.vipFilter.Set(p.Closed)
	}
}
