package tracking

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/task"
)

// Changed is called when a verdict changes in more than its wording (health.Verdict.Same). It must return at once.
type Changed func(of config.Subject, before, now health.Verdict)

// board has the verdicts of the tracks of one kind, for readers of any goroutine. Tracks that watch the same share a
// verdict, so that a track that is only renamed keeps its own.
type board struct {
	changed Changed
	ready   task.Latch    // closed when each track of the first set has a verdict
	wake    chan struct{} // capacity 1: the watches have changed

	mu       sync.Mutex // guards the fields below
	set      bool
	watches  []plan.Watch
	verdicts map[config.Watch]health.Verdict
}

func newBoard(changed Changed) *board {
	if changed == nil {
		changed = func(config.Subject, health.Verdict, health.Verdict) {}
	}
	return &board{changed: changed, wake: make(chan struct{}, 1), verdicts: map[config.Watch]health.Verdict{}}
}

// Set replaces the tracks; those of other kinds are ignored by the loop. all must not be changed afterwards.
func (b *board) put(all []plan.Watch) {
	b.mu.Lock()
	b.watches, b.set = all, true
	maps.DeleteFunc(b.verdicts, func(w config.Watch, _ health.Verdict) bool {
		return !slices.ContainsFunc(all, func(x plan.Watch) bool { return x.Watch == w })
	})
	b.mu.Unlock()
	b.look()
	select {
	case b.wake <- struct{}{}:
	default: // the loop has not seen the previous set, and will see this one
	}
}

// wanted returns what is watched, each once.
func (b *board) wanted() []config.Watch {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []config.Watch
	for _, w := range b.watches {
		if !slices.Contains(all, w.Watch) {
			all = append(all, w.Watch)
		}
	}
	return all
}

// verdict returns the verdict of a watch; the zero Verdict if there is none yet.
func (b *board) verdict(w config.Watch) health.Verdict {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.verdicts[w]
}

// publish sets the verdict of a watch, except its Since.
func (b *board) publish(w config.Watch, v health.Verdict, now time.Time) {
	b.mu.Lock()
	before := b.verdicts[w]
	v.Since = before.Since
	if v.Known != before.Known || v.Up != before.Up || v.Value != before.Value {
		v.Since = now
	}
	var users []config.TrackID
	for _, u := range b.watches {
		if u.Watch == w {
			users = append(users, u.Track)
		}
	}
	if len(users) > 0 { // otherwise it was removed meanwhile
		b.verdicts[w] = v
	}
	b.mu.Unlock()
	b.look()
	if v.Same(before) {
		return
	}
	for _, u := range users {
		b.changed(config.Subject{Track: u}, before, v)
	}
}

// look closes ready when each track has a verdict, be it "not known".
func (b *board) look() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, w := range b.watches {
		if _, has := b.verdicts[w.Watch]; !has {
			return
		}
	}
	if b.set {
		b.ready.Close()
	}
}

// Verdicts adds the verdicts of all tracks to a map.
func (b *board) Verdicts(to map[config.Subject]health.Verdict) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, w := range b.watches {
		v, has := b.verdicts[w.Watch]
		if !has {
			v.Reason = "unknown: not looked at yet"
		}
		to[config.Subject{Track: w.Track}] = v
	}
}

// Ready is closed when each track of the first Set has a verdict.
func (b *board) Ready() <-chan struct{} { return b.ready.Ready() }

// kept is the verdict of a watch that cannot be judged now: what was known is kept.
func kept(before health.Verdict, code health.Code, why string) health.Verdict {
	v := before
	v.Code = code
	switch {
	case !before.Known:
		v.Reason = "unknown: " + why
	case before.Up:
		v.Reason = "up: kept: " + why
	default:
		v.Reason = "down: kept: " + why
	}
	return v
}

// judged is the verdict of something that has been seen. code is that of a verdict that is not up, or is about to be.
func judged(up bool, good bool, reason string) health.Verdict {
	v := health.Verdict{Known: true, Up: up, Code: health.OK, Reason: "up: " + reason, Doubtful: up && !good}
	if !up {
		v.Reason = "down: " + reason
	}
	if !good {
		v.Code = health.Failed
	}
	return v
}
