package notify

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/hook"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// Subject is what hooks are about.
type Subject struct {
	Type string // INSTANCE or GROUP, keepalived's words; RealServer or VirtualServer
	Name string // in the cluster file
	// Instance is that of an INSTANCE, resolved for this node, and Params are those of its election.
	Instance *config.Instance
	Params   vrrp.Params
	State    string // now; "" if it does not run yet
	Hooks    []config.Hook
	// Pool and Server are those of a VirtualServer or RealServer: Server is nil of a VirtualServer. They are not changed.
	Pool   *config.VirtualServer
	Server *config.RealServer
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
	// Try: only find out whether it could be run. There is no change and no subject.
	Try bool
}

// Result is how a run of a hook ended.
type Result struct {
	OK   bool
	Text string // "exit status 1 after 30ms: cannot connect", for people
}

// Failure is a hook whose last run failed, or that cannot be run.
type Failure struct {
	Subject string // "instance mysql"; of several, "real server mysql/mysql1 and 3 others"
	// Name is "mysql"; of hooks that could not be run that of the first subject, and of failed hooks of real servers, or of
	// more than ten virtual servers, "real servers" or "virtual servers": it does not depend on which of them have failed.
	Name string
	Hook config.Hook
	Text string // why; of several, of the first

	id          ID
	kind, label string // Subject.Type, Hook.Label()
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
	failures map[failureOf]*Failure // these are not changed
	useless  map[trial]string       // what could not be run, as last tried, and why
	working  sync.WaitGroup         // lines of instances and groups
	pools    sync.WaitGroup         // hooks of virtual servers and real servers
	trials   sync.WaitGroup
	trying   bool
	ended    bool
	queues   map[string]*queue // of virtual servers and of real servers, by the type of the subject
}

// New returns a Notifier without hooks.
func New(o Options) *Notifier {
	return &Notifier{
		o: o, ready: make(chan struct{}), try: make(chan struct{}, 1), lines: map[ID]*line{}, failures: map[failureOf]*Failure{},
		queues: map[string]*queue{VirtualServer: newQueue(), RealServer: newQueue()},
	}
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
			n.pools.Wait()
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

// Set replaces the subjects. The hooks that run or wait for an instance or a group that is left out still run,
// for its end; those that wait for a virtual server or a real server do not.
func (n *Notifier) Set(subjects map[ID]Subject) {
	n.mu.Lock()
	defer n.mu.Unlock()
	pools := false // the hooks of one of a pool have changed, or it is removed
	for id, s := range subjects {
		l := n.lines[id]
		if l == nil {
			if l = new(line); !s.ofPool() {
				l.wake = make(chan struct{}, 1)
			}
			n.lines[id] = l
		}
		if before := l.subject.Params.Priority; before != 0 && before != s.Params.Priority && !n.ended {
			l.order.Tell(time.Now(), hook.Change{
				Moment: hook.Priority, From: s.State, To: s.State, Priority: s.Params.Priority, At: time.Now(),
				Reason: fmt.Sprintf("the effective priority was %d", before),
			})
			n.work(id, l)
		}
		before := l.subject.Hooks
		l.subject, l.removed = s, false
		if !sameHooks(before, s.Hooks) {
			pools = pools || s.ofPool()
			n.forget(id, before, s.Hooks)
		}
	}
	poke(n.try)
	for id, l := range n.lines {
		if _, stays := subjects[id]; !stays {
			pools = pools || l.subject.ofPool()
			n.forget(id, l.subject.Hooks, nil)
			n.remove(id, l)
		}
	}
	if pools {
		n.requeueAll()
	}
}

// sameHooks is quick if they are one slice, as those of thousands of real servers are after a change that does not concern them.
func sameHooks(a, b []config.Hook) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0] || slices.Equal(a, b))
}

// Tell says that a subject has changed; change, which must not block, describes that. Subjects without hooks are ignored.
func (n *Notifier) Tell(id ID, change func(Subject) hook.Change) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.lines[id]
	if l == nil || n.ended || l.removed && l.subject.ofPool() {
		return
	}
	l.order.Tell(time.Now(), change(l.subject))
	n.work(id, l)
	if q := n.queues[l.subject.Type]; q != nil {
		n.resume(q, id, l)
		n.dispatch(q)
	}
	poke(l.wake)
}

// Seed says in which state a subject is although no hooks run for that: they do not run either if it returns to that state before any
// have begun for another one.
func (n *Notifier) Seed(id ID, state string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if l := n.lines[id]; l != nil {
		l.order.Seed(state)
	}
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

// Finish waits until all hooks of instances and groups have run for the changes told so far, or ctx ends. Nothing may be told meanwhile.
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

// labelOf is a subject for messages.
func labelOf(kind, name string) string {
	return map[string]string{Group: "sync group ", RealServer: "real server ", VirtualServer: "virtual server ", Instance: "instance "}[kind] + name
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
