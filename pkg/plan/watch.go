package plan

import (
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// Watch is a track that is watched without checks: an interface, a process or a file.
type Watch struct {
	Track config.TrackID // unique
	Watch config.Watch   // comparable
}

// watches returns what this node must watch, during a reload including the tracks that the elections still depend on.
func (in Inputs) watches() []Watch {
	var all []Watch
	for _, cfg := range slices.Backward(in.files()) {
		for _, t := range cfg.Tracks {
			id := config.TrackID(t.Name)
			if observed(t.Watch) && tracked(cfg, t.Name) && !slices.ContainsFunc(all, func(w Watch) bool { return w.Track == id }) {
				all = append(all, Watch{id, t.Watch})
			}
		}
	}
	return all
}

// observed reports whether the state of a watch comes from the kernel, and not from this plan.
func observed(w config.Watch) bool {
	switch w.(type) {
	case config.WatchedInterface, config.WatchedProcess, config.WatchedFile:
		return true
	}
	return false
}
