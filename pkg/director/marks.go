package director

import (
	"context"
	"fmt"

	"github.com/lvs-director/lvs-director/pkg/kernel/firewall"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/problem"
)

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
