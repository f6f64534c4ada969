package notify

import (
	"context"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/hook"
)

// line is the hooks of one subject. The Notifier's mutex guards it.
type line struct {
	subject Subject
	order   hook.Line
	wake    chan struct{} // nil of a virtual server or a real server
	removed bool          // it is deleted when it is idle
	works   bool          // its goroutine runs, or it is in a queue
	going   *progress     // of a virtual server or a real server: the change whose hooks run or wait
}

// work lets a line that has something to do do it. It needs the lock.
func (n *Notifier) work(id ID, l *line) {
	if l.works || n.over() || l.order.Idle() {
		return
	}
	l.works = true
	if q := n.queues[l.subject.Type]; q != nil {
		n.queue(q, id, l)
		n.dispatch(q)
		return
	}
	n.working.Go(func() { n.follow(id, l) })
}

// over reports whether no hook may begin: not yet, or no longer. It needs the lock.
func (n *Notifier) over() bool { return n.ctx == nil || n.ended || n.ctx.Err() != nil }

// rest ends the work of a line. It needs the lock.
func (n *Notifier) rest(id ID, l *line) {
	if l.works, l.going = false, nil; l.removed {
		delete(n.lines, id)
	}
}

// remove takes away a subject that a reload removes. It needs the lock.
func (n *Notifier) remove(id ID, l *line) {
	l.removed = true
	if !l.works {
		delete(n.lines, id)
	} else if l.subject.ofPool() {
		l.drop()
	}
}

// drop ends what a virtual server or a real server that a reload removes waits for: another reload may put it back, in
// another state. It needs the lock.
func (l *line) drop() {
	l.order.Renew()
	if l.going != nil {
		l.going.dropped = true
	}
}

// follow runs the hooks of an instance or a group until there is nothing to do.
func (n *Notifier) follow(id ID, l *line) {
	for {
		n.mu.Lock()
		c, found, wait := l.order.Next(time.Now())
		s := l.subject
		if !found && l.order.Idle() || n.ctx.Err() != nil {
			n.rest(id, l)
			n.mu.Unlock()
			return
		}
		n.mu.Unlock()
		if found {
			ok := n.runAll(n.ctx, id, l, Job{Subject: s, Change: c})
			n.mu.Lock()
			l.order.Done(c, ok)
			n.mu.Unlock()
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-n.ctx.Done():
		case <-l.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// runAll runs the hooks of an instance or a group for one change, one after the other.
func (n *Notifier) runAll(ctx context.Context, id ID, l *line, j Job) (ok bool) {
	ok = true
	for _, h := range hooksAt(j.Subject.Hooks, j.Change.Moment) {
		j.Hook = h
		ok = n.run(ctx, id, l, j) && ok
	}
	return ok
}

func hooksAt(all []config.Hook, m hook.Moment) []config.Hook {
	var some []config.Hook
	for _, h := range all {
		if h.On.Has(m) {
			some = append(some, h)
		}
	}
	return some
}

// run runs a hook until it succeeds, has been tried often enough, or is no longer worth trying.
func (n *Notifier) run(ctx context.Context, id ID, l *line, j Job) bool {
	tries := 0
	for {
		r := n.once(ctx, j)
		tries++
		text := n.record(j, r, tries)
		if r.OK || tries > j.Hook.Retries || !n.await(ctx, l, j) {
			n.mu.Lock()
			n.finished(id, j, r.OK, text)
			n.mu.Unlock()
			return r.OK
		}
	}
}

// await waits for another try of a hook of an instance or a group, and reports whether that is worth it: not if a later
// state has come, even meanwhile.
func (n *Notifier) await(ctx context.Context, l *line, j Job) bool {
	var wake <-chan struct{}
	if j.Change.Moment.IsState() { // pre_stop, which runs beside the line's own goroutine, must not take what wakes that
		wake = l.wake
	}
	timer := time.NewTimer(j.Hook.RetryDelay)
	defer timer.Stop()
	for ctx.Err() == nil && !n.late(l, j.Change) {
		select {
		case <-ctx.Done():
		case <-wake:
		case <-timer.C:
			return ctx.Err() == nil && !n.late(l, j.Change)
		}
	}
	return false
}

func (n *Notifier) once(ctx context.Context, j Job) Result {
	limited, cancel := context.WithTimeout(ctx, j.Hook.Timeout)
	defer cancel()
	return n.o.Run(limited, j)
}

func (n *Notifier) late(l *line, c hook.Change) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return l.order.Late(c)
}
