package checker

import (
	"sync/atomic"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/plan"
)

// cell holds the latest verdict of one subject, for readers of any goroutine.
type cell = atomic.Pointer[health.Verdict]

// board has the cells of all subjects; at has their indexes. A result replaces the content of one cell, a Set the whole
// board.
type board struct {
	at    map[config.Subject]int
	cells []cell
}

// unchecked is the verdict of a subject that has not been checked.
func unchecked() health.Verdict { return health.All([]health.State{health.New(1, 1)}) }

// Verdict returns the latest verdict of this subject; "not known" for a subject that Run has not processed yet.
func (c *Checker) Verdict(subject config.Subject) health.Verdict {
	if b := c.board.Load(); b != nil {
		if n, ok := b.at[subject]; ok {
			return *b.cells[n].Load()
		}
	}
	return unchecked()
}

// Verdicts returns the latest verdicts of all subjects.
func (c *Checker) Verdicts() plan.Verdicts {
	b := c.board.Load()
	if b == nil {
		return plan.Verdicts{}
	}
	all := make([]*health.Verdict, len(b.cells))
	for n := range b.cells {
		all[n] = b.cells[n].Load()
	}
	return plan.NewVerdicts(b.at, all)
}
