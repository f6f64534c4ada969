package hook

import (
	"slices"
	"time"
)

// Line is the order in which the hooks of one subject run: one change after the other, in the order of the
// changes. Changes that come while hooks run are coalesced: of the states only the last one is kept, so that the last
// hooks that run are always those of the last state. The zero value is ready for use.
//
// A Line is not safe for concurrent use.
type Line struct {
	pending []pending // at most one state and one of each other moment, in order
	running bool
	done    string // the state for which hooks were last begun
	failed  bool   // one of those has failed
	before  string // done and failed before the run that Next has returned
	broken  bool
	lower   time.Time // when hooks for LowerAdvert last ran
	dropped bool      // the run that Next has returned is one of before Renew
}

// lowerEvery is how often hooks for LowerAdvert run at most: such adverts come every 10 ms from a router that does not hear
// this one.
const lowerEvery = time.Second

type pending struct {
	Change
	due time.Time
}

// Tell adds a change.
func (l *Line) Tell(now time.Time, c Change) {
	l.pending = slices.DeleteFunc(l.pending, func(p pending) bool { return p.sameKind(c) })
	due := now.Add(c.Settle)
	if earliest := l.lower.Add(lowerEvery); c.Moment == LowerAdvert && due.Before(earliest) {
		due = earliest
	}
	l.pending = append(l.pending, pending{c, due})
}

// sameKind reports whether a later change replaces this one.
func (p pending) sameKind(c Change) bool {
	return p.Moment == c.Moment || p.Moment.IsState() && c.Moment.IsState()
}

// Next returns the change whose hooks run now, if one does; the caller runs them and then calls Done, or Abandon. Otherwise wait is the
// time until there may be one, 0 if that depends on Tell or Done.
func (l *Line) Next(now time.Time) (c Change, found bool, wait time.Duration) {
	if l.running {
		return Change{}, false, 0
	}
	for i := 0; i < len(l.pending); {
		p := l.pending[i]
		if left := p.due.Sub(now); left > 0 {
			if wait == 0 || left < wait {
				wait = left
			}
			i++
			continue
		}
		l.pending = slices.Delete(l.pending, i, i+1)
		if p.Moment.IsState() {
			if p.To == l.done && !l.failed { // it left the state and came back while hooks ran
				continue
			}
			l.before, l.broken = l.done, l.failed
			l.done, l.failed = p.To, false
		}
		if p.Moment == LowerAdvert {
			l.lower = now
		}
		l.running = true
		return p.Change, true, 0
	}
	return Change{}, false, wait
}

// Done ends the run that Next has returned. ok says whether all its hooks succeeded.
func (l *Line) Done(c Change, ok bool) {
	dropped := l.ended()
	if c.Moment.IsState() && !ok && !dropped {
		l.failed = true
	}
}

// Abandon ends the run that Next has returned, of which no hook has begun although there are some: the last hooks are still those of the
// state before, and do not run again if that returns.
func (l *Line) Abandon(c Change) {
	dropped := l.ended()
	if c.Moment.IsState() && !dropped {
		l.done, l.failed = l.before, l.broken
	}
}

// ended ends the run, and reports whether Renew has been called since it began.
func (l *Line) ended() (dropped bool) {
	dropped = l.dropped
	l.running, l.dropped = false, false
	return dropped
}

// Renew forgets what waits and which hooks have run: the subject is another one. What runs still ends by Done or Abandon, before anything
// else runs.
func (l *Line) Renew() { *l = Line{running: l.running, dropped: l.running} }

// Seed says in which state the subject is although no hooks run for that, unless hooks run or wait for it.
func (l *Line) Seed(state string) {
	if l.Idle() || l.dropped && len(l.pending) == 0 {
		l.done, l.failed = state, false
	}
}

// Late reports whether a newer state than that of c is waiting, so that it is not worth trying a failed hook again.
func (l *Line) Late(c Change) bool {
	return c.Moment.IsState() && slices.ContainsFunc(l.pending, func(p pending) bool { return p.Moment.IsState() })
}

// Idle reports whether nothing runs or waits.
func (l *Line) Idle() bool { return !l.running && len(l.pending) == 0 }
