package notify

import (
	"cmp"
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
)

const (
	// poolHooks is the number of hooks of real servers that run at the same time, and likewise of virtual servers.
	poolHooks = 16
	// poolHooksAlike is how many of these may be alike, so that one that hangs, or a mail server that does, leaves room for others.
	poolHooksAlike = 6
)

// queue is the lines of virtual servers, or of real servers, that wait until their next hook may run. What waits is an ID in
// a list: thousands may wait at once. The Notifier's mutex guards it.
type queue struct {
	running int
	added   uint64           // in all
	kinds   map[string]*kind // those that wait or run
}

// kind is the hooks that are alike: of one program, one host of webhooks, or all mails.
type kind struct {
	running int
	waiting []waiting // in their order
}

type waiting struct {
	id    ID
	added uint64
}

func newQueue() *queue { return &queue{kinds: map[string]*kind{}} }

func kindOf(h config.Hook) string {
	if h.MailTo != "" {
		return "mail"
	}
	return h.Label()
}

func (q *queue) add(id ID, name string) {
	k := q.kinds[name]
	if k == nil {
		k = new(kind)
		q.kinds[name] = k
	}
	q.added++
	k.waiting = append(k.waiting, waiting{id, q.added})
}

// take removes the line that has waited for the longest time of those whose hook may run now.
func (q *queue) take() (id ID, name string, found bool) {
	if q.running >= poolHooks {
		return "", "", false
	}
	var first *kind
	for of, k := range q.kinds {
		if k.running < poolHooksAlike && len(k.waiting) > 0 && (first == nil || k.waiting[0].added < first.waiting[0].added) {
			first, name = k, of
		}
	}
	if first == nil {
		return "", "", false
	}
	id = first.waiting[0].id
	if first.waiting = first.waiting[1:]; len(first.waiting) == 0 {
		first.waiting = nil
	}
	q.tidy(name)
	return id, name, true
}

func (q *queue) begin(name string) {
	q.running++
	k := q.kinds[name]
	if k == nil {
		k = new(kind)
		q.kinds[name] = k
	}
	k.running++
}

func (q *queue) end(name string) {
	q.running--
	q.kinds[name].running--
	q.tidy(name)
}

func (q *queue) tidy(name string) {
	if k := q.kinds[name]; k.running == 0 && len(k.waiting) == 0 {
		delete(q.kinds, name)
	}
}

// requeueAll lets the virtual servers and real servers wait for the hooks that they have by now. It needs the lock.
func (n *Notifier) requeueAll() {
	for id, l := range n.lines {
		if q := n.queues[l.subject.Type]; q != nil {
			n.resume(q, id, l)
		}
	}
	for _, q := range n.queues {
		n.requeue(q)
	}
}

// requeue lets all lines wait for the hooks that they have by now, in the same order: what has waited for a mail must not go on waiting for
// mails when its subject has a program instead. It needs the lock.
func (n *Notifier) requeue(q *queue) {
	var all []waiting
	for name, k := range q.kinds {
		all = append(all, k.waiting...)
		k.waiting = nil
		q.tidy(name)
	}
	slices.SortFunc(all, func(a, b waiting) int { return cmp.Compare(a.added, b.added) })
	for _, w := range all {
		n.queue(q, w.id, n.lines[w.id])
	}
	n.dispatch(q)
}

// due returns the hook of a line that runs next, and is false if there is none: then the line is idle. A change of which no
// hook has begun is left out if it is late, and gets the hooks that the subject has by now. It needs the lock.
func (n *Notifier) due(id ID, l *line) (config.Hook, bool) {
	for {
		if l.going == nil {
			c, found, _ := l.order.Next(time.Now())
			if !found {
				n.rest(id, l)
				return config.Hook{}, false
			}
			l.going = &progress{change: c}
		}
		p := l.going
		if _, worth := l.again(); p.tries > 0 && !worth {
			n.conclude(id, l, Job{Hook: p.last(), Subject: l.subject, Change: p.change}, false, p.text)
		}
		h, found := p.next(l)
		begun := len(p.ran) > 0
		switch {
		case !begun && (p.dropped || found && l.order.Late(p.change)):
			l.order.Abandon(p.change)
		case found:
			return h, true
		default:
			l.order.Done(p.change, !p.failed)
		}
		l.going = nil
	}
}

// queue lets a line wait for its next hook, if it has one. It needs the lock.
func (n *Notifier) queue(q *queue, id ID, l *line) {
	if h, found := n.due(id, l); found {
		q.add(id, kindOf(h))
	}
}

// dispatch starts what may run now. It needs the lock.
func (n *Notifier) dispatch(q *queue) {
	for !n.over() {
		id, name, found := q.take()
		if !found {
			return
		}
		l := n.lines[id]
		h, found := n.due(id, l) // not the one for which it has waited, after a reload or a later change
		switch {
		case !found:
		case kindOf(h) != name:
			q.add(id, kindOf(h))
		default:
			p := l.going
			p.begin(h)
			q.begin(name)
			j, tries := Job{Hook: h, Subject: l.subject, Change: p.change}, p.tries
			n.pools.Go(func() { n.runQueued(q, name, id, l, j, tries) })
		}
	}
}

// runQueued runs a hook once, and lets its line and others go on.
func (n *Notifier) runQueued(q *queue, name string, id ID, l *line, j Job, tries int) {
	r := n.once(n.ctx, j)
	text := n.record(j, r, tries)
	n.mu.Lock()
	defer n.mu.Unlock()
	q.end(name)
	l.going.text = text
	if h, worth := l.again(); !r.OK && worth && !n.over() {
		n.pause(q, id, l, h.RetryDelay)
	} else {
		n.conclude(id, l, j, r.OK, text)
		n.queue(q, id, l)
	}
	n.dispatch(q)
}

// conclude takes in the last run of a hook. It needs the lock.
func (n *Notifier) conclude(id ID, l *line, j Job, ok bool, text string) {
	p := l.going
	if !p.dropped {
		n.finished(id, j, ok, text)
	}
	p.failed = p.failed || !ok
	p.tries = 0
}
