package director

import (
	"log/slog"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/task"
	"github.com/lvs-director/lvs-director/pkg/tracking"
)

// watches are the loops that watch tracks without a check.
type watches struct {
	links     *tracking.Links
	files     *tracking.Files
	processes *tracking.Processes
}

func newWatches(k Kernel, w *watcher, changed tracking.Changed, log *slog.Logger) *watches {
	links := func() ([]kernel.Link, <-chan struct{}) {
		s, next := w.Snapshot()
		return s.links, next
	}
	return &watches{tracking.NewLinks(links, changed), tracking.NewFiles(k, log, changed), tracking.NewProcesses(k, log, changed)}
}

func (w *watches) tasks() []task.Task { return []task.Task{w.links, w.files, w.processes} }

func (w *watches) set(all []plan.Watch) {
	w.links.Set(all)
	w.files.Set(all)
	w.processes.Set(all)
}

// verdicts adds the verdicts of all tracks to others, which may be nil.
func (w *watches) verdicts(others map[config.Subject]health.Verdict) map[config.Subject]health.Verdict {
	all := others
	if all == nil {
		all = map[config.Subject]health.Verdict{}
	}
	w.links.Verdicts(all)
	w.files.Verdicts(all)
	w.processes.Verdicts(all)
	return all
}

// ready reports whether the tracks of a plan have been looked at once.
func (w *watches) ready(p plan.Plan) bool {
	if len(p.Watches) == 0 {
		return true
	}
	for _, one := range w.tasks() {
		select {
		case <-one.Ready():
		default:
			return false
		}
	}
	return true
}
