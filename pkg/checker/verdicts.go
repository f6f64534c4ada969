package checker

import (
	"sync/atomic"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/plan"
)

// cell holds the latest verdict of one subject, for readers of any goroutine.
type cell = atomic.Pointer[health.Verdict]

// board is the cells of all subjects, each at its place. A result replaces what is in one cell, a Set the whole board.
type board struct {
	at    map[config.Subject]int
	cells []cell
}

// unchecked is the verdict of what has not been looked at.
func unchecked() health.Verdict { return health.All([]health.State{health.New(1, 1)}) }

// Verdict is the latest verdict of the Spec of this subject; "not known" for one that Run has not seen yet.
func (c *Checker) Verdict(subject config.Subject) health.Verdict {
	if b := c.board.Load(); b != nil {
		if n, ok := b.at[subject]; ok {
			return *b.cells[n].Load()
		}
	}
	return unchecked()
}

// Verdicts are the latest verdicts of all Specs.
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
