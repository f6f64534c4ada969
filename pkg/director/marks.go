package director

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/firewall"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/problem"
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

// unmarked returns the problems of virtual servers by firewall mark whose mark no rule of this host sets, or perhaps none.
func (m *answerMonitor) unmarked(ctx context.Context, p plan.Plan) []problem.Finding {
	var found []problem.Finding
	read := m.reading(ctx)
	for _, v := range p.Config.VirtualServers {
		if v.Mark == 0 || v.Marked != nil {
			continue
		}
		rules, err := read(v.Family())
		verdict := firewall.Verdict{Outcome: firewall.Unclear}
		if err != nil {
			verdict.Why = err.Error()
		} else {
			verdict = rules.Marks(v.Mark)
		}
		switch verdict.Outcome {
		case firewall.Blocked:
			found = append(found, problem.Finding{Code: problem.MarkNotSet, Subject: v.Name, Text: fmt.Sprintf(
				"%s: packets of clients do not get the firewall mark %d: %s", v.Name, v.Mark, verdict.Why)})
		case firewall.Unclear:
			found = append(found, problem.Finding{Code: problem.MarkUnclear, Subject: v.Name, Text: fmt.Sprintf(
				"%s: cannot tell whether packets of clients get the firewall mark %d: %s", v.Name, v.Mark, verdict.Why)})
		}
	}
	return found
}
