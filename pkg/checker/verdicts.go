package checker

import (
	"sync/atomic"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
)

// cell holds the latest verdict of one subject, for readers of any goroutine. A result replaces one cell and not a map
// of a thousand.
type cell struct{ atomic.Pointer[health.Verdict] }

// board is the set of cells; Set replaces it as a whole.
type board map[config.Subject]*cell

// unchecked is the verdict of what has not been looked at.
func unchecked() health.Verdict { return health.All([]health.State{health.New(1, 1)}) }

// Verdict is the latest verdict of the Spec of this subject; "not known" for one that Run has not seen yet.
func (c *Checker) Verdict(subject config.Subject) health.Verdict {
	if b := c.board.Load(); b != nil {
		if cell, ok := (*b)[subject]; ok {
			return *cell.Load()
		}
	}
	return unchecked()
}

// Verdicts are the latest verdicts of all Specs. The map is the caller's.
func (c *Checker) Verdicts() map[config.Subject]health.Verdict {
	b := c.board.Load()
	if b == nil {
		return map[config.Subject]health.Verdict{}
	}
	all := make(map[config.Subject]health.Verdict, len(*b))
	for subject, cell := range *b {
		all[subject] = *cell.Load()
	}
	return all
}
