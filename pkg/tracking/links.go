package tracking

import (
	"context"
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/plan"
)

// LinkSource returns the interfaces of this host as last read, none if they have not been read, and a channel that is
// closed when they have been read again.
type LinkSource func() ([]kernel.Link, <-chan struct{})

// Links watches interfaces. Make one with NewLinks.
type Links struct {
	*board
	links LinkSource
	state map[config.WatchedInterface]health.Debounce // owned by Run
}

// NewLinks returns a Links.
func NewLinks(links LinkSource, changed Changed) *Links {
	return &Links{board: newBoard(changed), links: links, state: map[config.WatchedInterface]health.Debounce{}}
}

// Set replaces the tracks; only those of interfaces count. It returns at once.
func (l *Links) Set(all []plan.Watch) { l.put(only[config.WatchedInterface](all)) }

// only returns the watches of one kind.
func only[K config.Watch](all []plan.Watch) []plan.Watch {
	return slices.DeleteFunc(slices.Clone(all), func(w plan.Watch) bool { _, is := w.Watch.(K); return !is })
}

// Name implements task.Task.
func (l *Links) Name() string { return "the watcher of tracked interfaces" }

// Run watches until ctx ends. It returns nil.
func (l *Links) Run(ctx context.Context) error {
	heart := heartbeat.From(ctx)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		heart.Beat()
		links, read := l.links()
		timer.Reset(l.look(links, time.Now()))
		select {
		case <-ctx.Done():
			return nil
		case <-l.wake:
		case <-read:
		case <-timer.C:
		}
	}
}

// look judges all tracks, and returns when to look again.
func (l *Links) look(links []kernel.Link, now time.Time) time.Duration {
	wait := heartbeat.Until(now, heartbeat.Every)
	state := map[config.WatchedInterface]health.Debounce{}
	for _, watch := range l.wanted() {
		w, is := watch.(config.WatchedInterface)
		if !is || len(links) == 0 { // not read yet
			continue
		}
		d, known := l.state[w]
		if !known {
			d = health.NewDebounce(w.Delays.Up, w.Delays.Down)
		}
		good, reason := linkState(links, w.Interface)
		d = d.Step(now, good)
		state[w] = d
		up, _ := d.Up()
		if due, pending := d.Due(); pending {
			wait = min(wait, max(due.Sub(now), 0))
			reason += delayed(up, w.Delays)
		}
		l.publish(w, judged(up, good, reason), now)
	}
	if len(links) > 0 {
		l.state = state
	}
	return wait
}

// delayed says when a change counts.
func delayed(up bool, d config.Delays) string {
	if up {
		return " (it counts as down after " + d.Down.String() + ")"
	}
	return " (it counts as up after " + d.Up.String() + ")"
}

// linkState reports whether an interface works, and the rest of a sentence.
func linkState(links []kernel.Link, name string) (good bool, reason string) {
	at := slices.IndexFunc(links, func(l kernel.Link) bool { return l.Name == name })
	switch {
	case at < 0:
		return false, "interface " + name + " does not exist"
	case !links[at].Up:
		return false, "interface " + name + " is down (ip link set " + name + " up)"
	case !links[at].Carrier:
		return false, "interface " + name + " has no carrier (check the cable and the switch port)"
	default:
		return true, "interface " + name + " has a carrier"
	}
}
