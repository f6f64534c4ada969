package checker

import (
	"sync/atomic"

	"github.com/lvs-director/lvs-director/pkg/health"
)

// cell holds the latest verdict of one subject, for readers of any goroutine. A result replaces one cell and not a map
// of a thousand.
type cell struct{ atomic.Pointer[health.Verdict] }

// board is the set of cells; Set replaces it as a whole.
type board map[string]*cell

// unchecked is the verdict of what has not been looked at.
func unchecked() health.Verdict { return health.All([]health.State{health.New(1, 1)}) }

// Verdict is the latest verdict of the Spec with this name; "not known" for one that Run has not seen yet.
func (c *Checker) Verdict(name string) health.Verdict {
	if b := c.board.Load(); b != nil {
		if cell, ok := (*b)[name]; ok {
			return *cell.Load()
		}
	}
	return unchecked()
}

// Verdicts are the latest verdicts of all Specs, by name. The map is the caller's.
func (c *Checker) Verdicts() map[string]health.Verdict {
	b := c.board.Load()
	if b == nil {
		return map[string]health.Verdict{}
	}
	all := make(map[string]health.Verdict, len(*b))
	for name, cell := range *b {
		all[name] = *cell.Load()
	}
	return all
}
