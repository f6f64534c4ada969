package notify

import (
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/hook"
)

// progress is how far the hooks of a virtual server or a real server are with one change.
type progress struct {
	change hook.Change
	ran    []config.Hook // those of the change that have begun
	tries  int           // of the last of them, while it may be tried again; otherwise 0
	text   string        // how the last try ended
	timer  *time.Timer   // until another try; nil while nothing waits for one: then the line is in a queue, or the hook runs
	failed bool
	// dropped: the change is one of a subject that a reload has removed, even if another one has put it back.
	dropped bool
}

// last returns the hook that has begun last, as it was then.
func (p *progress) last() config.Hook { return p.ran[len(p.ran)-1] }

// next returns the hook of the change that runs next: a reload may have changed them since the first one began.
func (p *progress) next(l *line) (config.Hook, bool) {
	if h, worth := l.again(); worth || p.dropped {
		return h, worth
	}
	for _, h := range l.subject.Hooks {
		if h.On.Has(p.change.Moment) && !slices.ContainsFunc(p.ran, func(ran config.Hook) bool { return same(ran, h) }) {
			return h, true
		}
	}
	return config.Hook{}, false
}

// begin counts a try of a hook.
func (p *progress) begin(h config.Hook) {
	if p.tries == 0 {
		p.ran = append(p.ran, h)
	}
	p.ran[len(p.ran)-1] = h // with what a reload has changed
	p.tries++
}

// again returns the hook that has begun last, as the subject has it by now, and whether it is worth another try if it has failed.
func (l *line) again() (config.Hook, bool) {
	p := l.going
	if p.tries == 0 || p.dropped || l.order.Late(p.change) {
		return config.Hook{}, false
	}
	h, found := l.subject.now(p.last(), p.change.Moment)
	return h, found && p.tries <= h.Retries
}

// now returns the hook that does the same as this one for a moment, as the subject has it by now.
func (s Subject) now(h config.Hook, m hook.Moment) (config.Hook, bool) {
	if slices.Contains(s.Hooks, h) {
		return h, true
	}
	i := slices.IndexFunc(s.Hooks, func(other config.Hook) bool { return other.On.Has(m) && same(other, h) })
	if i < 0 {
		return config.Hook{}, false
	}
	return s.Hooks[i], true
}

// same reports whether two hooks do the same, whenever they run, however long they may take and however often they are tried.
func same(a, b config.Hook) bool {
	b.On, b.Timeout, b.Retries, b.RetryDelay = a.On, a.Timeout, a.Retries, a.RetryDelay
	return a == b
}

// pause lets a line wait for another try of its hook. It needs the lock.
func (n *Notifier) pause(q *queue, id ID, l *line, delay time.Duration) {
	p := l.going
	var timer *time.Timer
	timer = time.AfterFunc(delay, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.over() || l.going != p || p.timer != timer {
			return
		}
		p.timer = nil
		n.queue(q, id, l)
		n.dispatch(q)
	})
	p.timer = timer
}

// resume ends the wait of a line for another try if a reload has changed or removed the hook or the subject, or a later
// state has come: what follows must not wait for that time. It needs the lock.
func (n *Notifier) resume(q *queue, id ID, l *line) {
	p := l.going
	if p == nil || p.timer == nil {
		return
	}
	if h, worth := l.again(); worth && h == p.last() {
		return
	}
	p.timer.Stop()
	p.timer = nil
	n.queue(q, id, l)
}
