package checker

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/probe"
)

// ProbeFunc makes one check; see package probe. It must return soon after ctx ends.
type ProbeFunc func(ctx context.Context, t probe.Target) health.Result

const (
	// slots is how many probes may be in their first moments at once: dialling, logging in, using the CPU. It keeps
	// the start of thousands of probes from disturbing the election that runs in the same process.
	slots = 256
	// moment is how long a probe holds a slot. One that takes longer waits for the network and costs nothing, so that
	// a thousand dead servers delay the check of a living one by at most 1000/256 moments, and never by their
	// time-outs. The number of probes in all is bounded by the number of checks.
	moment = 100 * time.Millisecond
	// patience is what a probe may take beyond its time-out before it is abandoned.
	patience = 100 * time.Millisecond
	// parting is how long Run lets running probes finish when it ends: a login that is broken off is an aborted
	// connection in the server's counters.
	parting = time.Second
	// The first atOnce checks of a Set start at once, the others one after another, spread apart, within the interval.
	atOnce = 32
	spread = time.Millisecond
	// drowsy is a lateness of the loop from which on the whole process is taken to have been stopped, as is half the
	// time-out of a probe. A time-out from that time is the director's and not the server's.
	drowsy = 250 * time.Millisecond
	// notable is the least lateness that is written down: no probe has a time-out so short that less would matter.
	notable = 25 * time.Millisecond
)

// Checker makes checks. Make one with New.
type Checker struct {
	probe    ProbeFunc
	secrets  func(file string) (string, error)
	log      *slog.Logger
	onChange func(subject config.Subject, before, now health.Verdict)

	board   atomic.Pointer[board]
	wanted  atomic.Pointer[order]
	wake    chan struct{} // capacity 1: wanted has changed
	ready   chan struct{}
	results chan finished // from the goroutines of probes
	over    chan struct{} // closed when nobody receives results any more

	// What follows belongs to Run's goroutine.
	subjects subjects
	checks   checks
	made     uint64 // checks so far
	agenda   agenda
	queue    []*check // due, and waiting for a slot, first come first served
	busy     int      // slots in use
	isReady  bool
	running  sync.WaitGroup
}

// New returns a Checker that probes with probe (probe.Make) and takes passwords from secrets (SecretFiles.Read).
//
// It calls onChange from Run's goroutine whenever a verdict changes in more than its wording (health.Verdict.Same),
// after Verdict tells the new one, with the verdict of the call before, at first the zero Verdict; onChange must return at
// once. Nil means nobody wants to know.
func New(
	probe ProbeFunc,
	secrets func(file string) (string, error),
	log *slog.Logger,
	onChange func(subject config.Subject, before, now health.Verdict),
) *Checker {
	if onChange == nil {
		onChange = func(_ config.Subject, _, _ health.Verdict) {}
	}
	return &Checker{
		probe: probe, secrets: secrets, log: log, onChange: onChange,
		wake: make(chan struct{}, 1), ready: make(chan struct{}),
		results: make(chan finished), over: make(chan struct{}),
		checks: checks{},
	}
}

// order is what one Set wants.
type order struct {
	specs   []Spec
	carried chan struct{} // closed when it is carried out
	before  *order        // the one that it overtook
}

// Set says what is to be checked from now on, all of it; the last Spec of a subject counts. It returns at once, and Run
// carries it out; the channel is closed then. specs must not be changed afterwards. A check with the same ID as before keeps its state and its rhythm. A check
// that was edited starts from what was known of its server, so that a reload takes nothing out.
func (c *Checker) Set(specs []Spec) <-chan struct{} {
	next := &order{specs: specs, carried: make(chan struct{})}
	for {
		next.before = c.wanted.Load()
		if c.wanted.CompareAndSwap(next.before, next) {
			break
		}
	}
	select {
	case c.wake <- struct{}{}:
	default: // Run has not looked yet, and will see the latest
	}
	return next.carried
}

// carryOut takes the latest order.
func (c *Checker) carryOut(now time.Time) {
	o := c.wanted.Swap(nil)
	if o == nil {
		return
	}
	c.apply(o.specs, now)
	for ; o != nil; o = o.before {
		close(o.carried)
	}
}

// Name implements task.Task.
func (c *Checker) Name() string { return "the checker" }

// Ready is closed when every check of the first Set has had a result, be it a time-out.
func (c *Checker) Ready() <-chan struct{} { return c.ready }

// Run checks until ctx ends, then gives running probes a second to finish. It may be called once. It returns nil.
func (c *Checker) Run(ctx context.Context) error {
	// Probes do not end with ctx at once: see parting.
	probing, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	heart := heartbeat.From(ctx)
	defer heart.Stop()
	for {
		heart.Beat()
		wait := heartbeat.Every
		if len(c.agenda) > 0 {
			wait = min(wait, time.Until(c.agenda[0].at))
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			c.part(stop)
			return nil
		case <-c.wake:
			c.carryOut(time.Now())
		case r := <-c.results:
			c.noticeStall(time.Now())
			c.finish(r, time.Now())
		case <-timer.C:
		}
		c.work(probing, time.Now())
	}
}

// work does what is due, as far as there are slots.
func (c *Checker) work(ctx context.Context, now time.Time) {
	c.noticeStall(now)
	for {
		e, ok := c.agenda.take(now)
		if !ok {
			break
		}
		switch e.what {
		case due:
			c.reach(e, now)
		case yields:
			c.yield(e.attempt)
		case overdue:
			c.abandon(e.attempt, now)
		}
	}
	for len(c.queue) > 0 && c.busy < slots {
		next := c.queue[0]
		c.queue = c.queue[1:]
		next.queued = false
		if !next.retired && next.attempt == nil {
			c.launch(ctx, next, now)
		}
	}
	if len(c.queue) == 0 {
		c.queue = nil
	}
}

// reach handles the due time of a check.
func (c *Checker) reach(e event, now time.Time) {
	check := e.check
	if check.retired || !check.due.Equal(e.at) {
		return // removed, or set anew, since the event was made
	}
	check.next(now)
	c.agenda.add(event{at: check.due, what: due, check: check})
	switch {
	case check.attempt == nil:
		c.enqueue(check)
	case check.attempt.abandoned:
		// The last probe hangs where no deadline reaches. A second one would hang too.
		c.take(check, check.attempt.overdueResult(now), now)
	default:
		// A time-out may be as long as the interval, and then its end is a moment later than this. To wait for the next
		// due time instead would double the time until a frozen server is out.
		check.owed = true
	}
}

// enqueue lets a check have the next free slot.
func (c *Checker) enqueue(k *check) {
	if !k.queued {
		k.queued = true
		c.queue = append(c.queue, k)
	}
}

// noticeStall looks whether the loop comes late to its agenda; then what runs now was stopped with it. It is called
// before anything that a late loop could misjudge.
func (c *Checker) noticeStall(now time.Time) {
	if len(c.agenda) == 0 {
		return
	}
	late := now.Sub(c.agenda[0].at)
	if late < notable {
		return
	}
	for check := range c.checks.all() {
		if check.attempt != nil {
			check.attempt.stalled = max(check.attempt.stalled, late)
		}
	}
}

// part ends Run: it waits for running probes, at first for them to finish and then for them to be broken off.
func (c *Checker) part(stop context.CancelFunc) {
	done := make(chan struct{})
	go func() {
		c.running.Wait()
		close(done)
	}()
	close(c.over)
	for _, force := range []func(){func() {}, stop} {
		force()
		timer := time.NewTimer(parting)
		select {
		case <-done:
			timer.Stop()
			return
		case <-timer.C:
		}
	}
	c.log.Warn("probes hang beyond their deadline and are left behind")
}
