package notify

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/hook"
	"github.com/lvs-director/lvs-director/pkg/task"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// Subject is what hooks are about.
type Subject struct {
	Type string // INSTANCE or GROUP, keepalived's words; RealServer or VirtualServer
	Name string // in the cluster file
	// Instance is that of an INSTANCE, resolved for this node, and Params are those of its election.
	Instance config.Instance
	Params   vrrp.Params
	State    string // now; "" if it does not run yet
	Hooks    []config.Hook
	// Pool and Server are those of a VirtualServer or RealServer.
	Pool   config.VirtualServer
	Server config.RealServer
}

// ofPool reports whether it is a virtual server or a real server. There may be thousands whose states change at once.
func (s Subject) ofPool() bool { return s.Type == RealServer || s.Type == VirtualServer }

// ID identifies a subject, also across a change of its name.
type ID string

// Job is one hook to run for one change.
type Job struct {
	Hook    config.Hook
	Subject Subject
	Change  hook.Change
	// Try: only find out whether it could be run. There is no change.
	Try bool
}

// Result is how a run of a hook ended.
type Result struct {
	OK   bool
	Text string // "exit status 1 after 30ms: cannot connect", for people
}

// Failure is a hook whose last run failed, or that cannot be run.
type Failure struct {
	Subject string // "instance mysql"
	Name    string // "mysql"
	Hook    config.Hook
	Text    string
}

// Options are the settings of a Notifier; all are required.
type Options struct {
	// Run runs a hook once, until ctx ends at the latest.
	Run func(ctx context.Context, j Job) Result
	// Record and Changed are called from any goroutine and must not block: with the event of each run, and when
	// Failures has changed.
	Record  func(event.Event)
	Changed func()
}

// Notifier runs hooks. Its methods may be called from any goroutine; none but PreStop and Finish blocks.
type Notifier struct {
	o     Options
	ready chan struct{}
	try   chan struct{} // capacity 1: the hooks have changed

	mu       sync.Mutex      // guards the fields below
	ctx      context.Context // of Run; nil before it
	lines    map[ID]*line
	failures map[failureOf]Failure
	useless  map[failureOf]Failure // hooks that could not be run, as last tried
	working  sync.WaitGroup        // lines
	trials   sync.WaitGroup
	trying   bool
	ended    bool
	// slots are taken by the hooks of virtual servers and real servers while they run. Those of instances wait for none.
	slots chan struct{}
}

// poolHooks is the number of hooks of virtual servers and real servers that run at the same time.
const poolHooks = 16

type failureOf struct {
	id   ID
	hook config.Hook
}

// line is the hooks of one subject. The Notifier's mutex guards it.
type line struct {
	subject Subject
	order   hook.Line
	wake    chan struct{}
	removed bool // it is deleted when it is idle
	works   bool // its goroutine runs
}

// New returns a Notifier without hooks.
func New(o Options) *Notifier {
	return &Notifier{o: o, ready: make(chan struct{}), try: make(chan struct{}, 1), lines: map[ID]*line{}, failures: map[failureOf]Failure{}, slots: make(chan struct{}, poolHooks)}
}

// Name implements task.Task.
func (n *Notifier) Name() string { return "the hooks" }

// Ready implements task.Task.
func (n *Notifier) Ready() <-chan struct{} { return n.ready }

// Run lets hooks run until ctx ends, then waits for those that run, which end at once.
func (n *Notifier) Run(ctx context.Context) error {
	n.mu.Lock()
	n.ctx = ctx
	for id, l := range n.lines {
		n.work(id, l)
	}
	n.mu.Unlock()
	close(n.ready)
	heart := heartbeat.From(ctx)
	defer heart.Stop()
	beat := heartbeat.NewTicker(heartbeat.Every)
	defer beat.Stop()
	again := heartbeat.NewTicker(tryEvery)
	defer again.Stop()
	for {
		heart.Beat()
		select {
		case <-ctx.Done():
			n.mu.Lock()
			n.ended = true
			n.mu.Unlock()
			n.working.Wait()
			n.trials.Wait()
			return nil
		case <-n.try:
			n.tryAll(ctx)
		case <-again.C:
			n.tryAll(ctx)
		case <-beat.C:
		}
	}
}

const (
	// tryEvery is how often each hook is tried: a program may have been removed since the last time.
	tryEvery = time.Minute
	// tryWithin limits a try.
	tryWithin = 5 * time.Second
)

// tryAll tries all hooks in the background, unless that is still being done: somebody should know today that a hook will
// fail, and not when it is needed.
func (n *Notifier) tryAll(ctx context.Context) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.trying {
		return
	}
	var jobs []Job
	var of []failureOf
	for id, l := range n.lines {
		for _, h := range l.subject.Hooks {
			jobs, of = append(jobs, Job{Subject: l.subject, Hook: h, Try: true}), append(of, failureOf{id, h})
		}
	}
	n.trying = true
	n.trials.Go(func() {
		useless := map[failureOf]Failure{}
		results := map[config.Hook]Result{} // alike for all subjects
		for i, j := range jobs {
			r, known := results[j.Hook]
			if !known {
				limited, cancel := context.WithTimeout(ctx, tryWithin)
				r = n.o.Run(limited, j)
				cancel()
				results[j.Hook] = r
			}
			if !r.OK && ctx.Err() == nil {
				useless[of[i]] = Failure{Subject: j.Subject.label(), Name: j.Subject.Name, Hook: j.Hook, Text: j.Hook.Label() + " would fail: " + r.Text}
			}
		}
		n.mu.Lock()
		n.trying = false
		changed := !maps.Equal(n.useless, useless)
		n.useless = useless
		n.mu.Unlock()
		if changed {
			n.o.Changed()
		}
	})
}

// Set replaces the subjects. The hooks that run or wait for a subject that is left out still run, for its end.
func (n *Notifier) Set(subjects map[ID]Subject) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, s := range subjects {
		l := n.lines[id]
		if l == nil {
			l = &line{wake: make(chan struct{}, 1)}
			n.lines[id] = l
		}
		if before := l.subject.Params.Priority; before != 0 && before != s.Params.Priority && !n.ended {
			l.order.Tell(time.Now(), hook.Change{
				Moment: hook.Priority, From: s.State, To: s.State, Priority: s.Params.Priority, At: time.Now(),
				Reason: fmt.Sprintf("the effective priority was %d", before),
			})
			n.work(id, l)
		}
		l.subject, l.removed = s, false
	}
	poke(n.try)
	for id, l := range n.lines {
		if _, stays := subjects[id]; stays {
			continue
		}
		l.removed = true
		if !l.works {
			delete(n.lines, id)
		}
	}
	n.forget(subjects)
}

// forget removes the failures of hooks that no longer exist. It needs the lock.
func (n *Notifier) forget(subjects map[ID]Subject) {
	before := len(n.failures)
	for of := range n.failures {
		if !slices.Contains(subjects[of.id].Hooks, of.hook) {
			delete(n.failures, of)
		}
	}
	if len(n.failures) != before {
		n.o.Changed()
	}
}

// Tell says that a subject has changed; change, which must not block, describes that. Subjects without hooks are ignored.
func (n *Notifier) Tell(id ID, change func(Subject) hook.Change) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.lines[id]
	if l == nil || n.ended {
		return
	}
	l.order.Tell(time.Now(), change(l.subject))
	n.work(id, l)
	poke(l.wake)
}

// work starts the goroutine of a line that has something to do. It needs the lock.
func (n *Notifier) work(id ID, l *line) {
	if l.works || n.ctx == nil || n.ended || l.order.Idle() {
		return
	}
	l.works = true
	n.working.Go(func() { n.follow(id, l) })
}

// follow runs the hooks of a line until there is nothing to do.
func (n *Notifier) follow(id ID, l *line) {
	for {
		n.mu.Lock()
		c, found, wait := l.order.Next(time.Now())
		s := l.subject
		if !found && l.order.Idle() || n.ctx.Err() != nil {
			l.works = false
			if l.removed {
				delete(n.lines, id)
			}
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

// runAll runs the hooks of a subject for one change, one after the other.
func (n *Notifier) runAll(ctx context.Context, id ID, l *line, j Job) (ok bool) {
	ok = true
	for _, h := range j.Subject.Hooks {
		if h.On.Has(j.Change.Moment) {
			j.Hook = h
			ok = n.run(ctx, id, l, j) && ok
		}
	}
	return ok
}

// run runs a hook until it succeeds, has been tried often enough, or is no longer worth trying.
func (n *Notifier) run(ctx context.Context, id ID, l *line, j Job) bool {
	tries := 0
	for {
		r, began := n.once(ctx, l, j)
		if !began {
			return false
		}
		tries++
		text := n.record(j, r, tries)
		if r.OK || tries > j.Hook.Retries || ctx.Err() != nil || n.late(l, j.Change) || !task.Pause(ctx, j.Hook.RetryDelay) {
			n.finished(id, j, r, text)
			return r.OK
		}
	}
}

// once runs a hook once. One of a virtual server or a real server waits until few others run; it does not begin if its subject has changed
// meanwhile.
func (n *Notifier) once(ctx context.Context, l *line, j Job) (r Result, began bool) {
	if j.Subject.ofPool() {
		select {
		case n.slots <- struct{}{}:
		case <-ctx.Done():
			return Result{}, false
		}
		defer func() { <-n.slots }()
		if n.late(l, j.Change) {
			return Result{}, false
		}
	}
	limited, cancel := context.WithTimeout(ctx, j.Hook.Timeout)
	defer cancel()
	return n.o.Run(limited, j), true
}

func (n *Notifier) late(l *line, c hook.Change) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return l.order.Late(c)
}

// record records the end of a run, and returns what it says.
func (n *Notifier) record(j Job, r Result, tries int) string {
	to, text := event.HookOK, r.Text
	if !r.OK {
		to = event.HookFailed
	}
	if tries > 1 || !r.OK && j.Hook.Retries > 0 {
		text += fmt.Sprintf(" (try %d of %d)", tries, 1+j.Hook.Retries)
	}
	text = j.Hook.Label() + ": " + text
	e := event.Event{Kind: event.HookEnded, Subject: j.Subject.Name, To: to, Code: string(j.Change.Moment), Reason: text}
	if j.Subject.Type == Instance {
		e.VirtualRouterID = j.Subject.Instance.VRID
	}
	n.o.Record(e)
	return text
}

// finished takes in the result of the last run.
func (n *Notifier) finished(id ID, j Job, r Result, text string) {
	of := failureOf{id, j.Hook}
	n.mu.Lock()
	defer n.mu.Unlock()
	_, failed := n.failures[of]
	l := n.lines[id]
	switch {
	case r.OK && failed:
		delete(n.failures, of)
	case !r.OK && l != nil && slices.Contains(l.subject.Hooks, j.Hook):
		f := Failure{Subject: j.Subject.label(), Name: j.Subject.Name, Hook: j.Hook, Text: string(j.Change.Moment) + ": " + text}
		n.failures[of] = f
	default:
		return
	}
	n.o.Changed()
}

// Acknowledge forgets which hooks have failed, and tries all again.
func (n *Notifier) Acknowledge() {
	n.mu.Lock()
	clear(n.failures)
	n.mu.Unlock()
	poke(n.try)
	n.o.Changed()
}

// Failures returns the hooks whose last run failed, and those that could not be run now, in no order.
func (n *Notifier) Failures() []Failure {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []Failure
	for of, f := range n.useless {
		if _, failed := n.failures[of]; !failed {
			all = append(all, f)
		}
	}
	return slices.AppendSeq(all, maps.Values(n.failures))
}

// PreStop runs the pre_stop hooks of these subjects, all at once, and waits for them. It does not wait for hooks that run
// for an earlier change.
func (n *Notifier) PreStop(ctx context.Context, ids map[ID]hook.Change) {
	var all sync.WaitGroup
	n.mu.Lock()
	for id, c := range ids {
		if l := n.lines[id]; l != nil {
			j := Job{Subject: l.subject, Change: c}
			all.Go(func() { n.runAll(ctx, id, l, j) })
		}
	}
	n.mu.Unlock()
	all.Wait()
}

// Finish waits until all hooks have run for the changes told so far, or ctx ends. Nothing may be told meanwhile.
func (n *Notifier) Finish(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		n.working.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// label is the subject for messages.
func (s Subject) label() string {
	return map[string]string{Group: "sync group ", RealServer: "real server ", VirtualServer: "virtual server ", Instance: "instance "}[s.Type] + s.Name
}

// The types of subjects.
const (
	Instance      = "INSTANCE"
	Group         = "GROUP"
	RealServer    = "REAL_SERVER"
	VirtualServer = "VIRTUAL_SERVER"
)

func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
