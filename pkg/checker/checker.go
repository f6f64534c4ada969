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
type ProbeFunc func(ctx context.Context, t *probe.Target) health.Result

const (
	// slots is how many probes may be in their first moment at once, in which they dial, log in and use CPU time. It keeps
	// the start of thousands of probes from disturbing the election, which runs in the same process.
	slots = 256
	// slotTime is how long a probe uses a slot. A probe that takes longer waits for the network and uses no CPU time, so a
	// thousand dead servers delay the check of a live one by at most 1000/256 of that, and never by their time-outs. The
	// total number of probes is bounded by the number of checks.
	slotTime = 100 * time.Millisecond
	// grace is how long a probe may exceed its time-out before it is abandoned.
	grace = 100 * time.Millisecond
	// drainTimeout is how long Run waits for running probes when it ends: an interrupted login is counted as an aborted
	// connection by the server.
	drainTimeout = time.Second
	// The first atOnce checks of a Set start at once, the others at intervals of spread, within the check interval.
	atOnce = 32
	spread = time.Millisecond
	// stallThreshold is the delay of the loop from which on the whole process is considered stalled; half the time-out of
	// a probe is another such limit. A time-out during a stall is attributed to the director, not to the server.
	stallThreshold = 250 * time.Millisecond
	// minStall is the minimum delay that is recorded: no probe has a time-out so short that less would matter.
	minStall = 25 * time.Millisecond
)

// Checker makes checks. Make one with New.
type Checker struct {
	probe    ProbeFunc
	secrets  func(file string) (string, error)
	public   SecretFiles // reads what is no secret
	log      *slog.Logger
	onChange func(subject config.Subject, before, now health.Verdict)

	board   atomic.Pointer[board]
	wanted  atomic.Pointer[order]
	wake    chan struct{} // capacity 1: wanted has changed
	ready   chan struct{}
	results chan finished // from the goroutines of probes
	looks   chan func()   // are called by Run's goroutine
	drained chan struct{} // closed when results are no longer received
	ends    chan keptEnd  // from the goroutines that keep connections
	hold    HoldFunc      // nil: no connections are kept
	files   func() int    // how many file descriptors the process may have
	byHand  byHand

	// The following fields are owned by Run's goroutine.
	subjects subjects
	checks   checks
	made     uint64 // checks so far
	agenda   agenda
	queue    []*check // due and waiting for a slot, first in, first out
	busy     int      // slots in use
	isReady  bool
	count    int  // checks at the latest Set
	kept     int  // connections that are kept or being opened
	scarce   bool // there were not enough file descriptors for them since the latest Set
	// durations are by the type of check.
	durations map[config.CheckType]*Durations
	running   sync.WaitGroup
}

// New returns a Checker that probes with probe (probe.Make) and takes passwords from secrets (SecretFiles.Read).
//
// It calls onChange from Run's goroutine whenever a verdict changes in more than its wording (health.Verdict.Same),
// after Verdict returns the new one. before is the verdict of the previous call for the subject, at first the zero
// Verdict. onChange must return at once. It may be nil.
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
		results: make(chan finished), ends: make(chan keptEnd), looks: make(chan func()), drained: make(chan struct{}),
		checks: checks{}, durations: map[config.CheckType]*Durations{},
	}
}

// order is one call of Set.
type order struct {
	specs   []Spec
	carried chan struct{} // closed when it has been applied
	before  *order        // the order that it replaced before that was applied
}

// Set replaces the checks to make; the last Spec of a subject counts. It returns at once. Run applies it and then
// closes the channel. specs must not be changed afterwards. A check with the same ID as before keeps its state and its
// schedule. An edited check starts from the known state of its server, so that a reload takes no server out.
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
	default: // Run has not processed the previous wake-up and will see this order
	}
	return next.carried
}

// carryOut applies the latest order.
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

// Ready is closed when every check of the first Set has had a result, including time-outs and inconclusive ones; a
// check of a Served server needs as many as it takes to decide.
func (c *Checker) Ready() <-chan struct{} { return c.ready }

// Run makes checks until ctx ends, then waits for running probes for up to a second before it cancels them. It may be
// called once. It returns nil.
func (c *Checker) Run(ctx context.Context) error {
	// Probes are not cancelled as soon as ctx ends: see drainTimeout.
	probing, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	heart := heartbeat.From(ctx)
	defer heart.Stop()
	for {
		heart.Beat()
		wait := heartbeat.Until(time.Now(), heartbeat.Every)
		if len(c.agenda) > 0 {
			wait = min(wait, time.Until(c.agenda[0].at))
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			for k := range c.checks.all() {
				k.kept.letGo()
			}
			c.drain(stop)
			return nil
		case <-c.wake:
			c.carryOut(time.Now())
		case look := <-c.looks:
			look()
		case r := <-c.results:
			c.noticeStall(time.Now())
			c.finish(probing, r, time.Now())
		case e := <-c.ends:
			c.keptEnded(e, time.Now())
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
			c.handleDue(e, now)
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

// handleDue handles the due time of a check.
func (c *Checker) handleDue(e event, now time.Time) {
	check := e.check
	if check.retired || !check.due.Equal(e.at) {
		return // removed or rescheduled since the event was added
	}
	check.next(now)
	c.agenda.add(event{at: check.due, what: due, check: check})
	switch {
	case check.attempt == nil:
		check.owed = true
		c.enqueue(check)
	case check.attempt.abandoned:
		// The last probe hangs in spite of its deadline. A second one would hang too.
		c.take(check, check.attempt.overdueResult(now), now)
	default:
		// A time-out may be as long as the interval and then expires just after this. Waiting for the next due time would
		// double the time until a frozen server is taken out.
		check.owed = true
	}
}

// enqueue queues a check for a free slot.
func (c *Checker) enqueue(k *check) {
	if !k.queued {
		k.queued = true
		c.queue = append(c.queue, k)
	}
}

// noticeStall records a delay of the loop in all running attempts, which were stalled with it. It is called before
// every decision that a stall could distort.
func (c *Checker) noticeStall(now time.Time) {
	if len(c.agenda) == 0 {
		return
	}
	late := now.Sub(c.agenda[0].at)
	if late < minStall {
		return
	}
	for check := range c.checks.all() {
		if check.attempt != nil {
			check.attempt.stalled = max(check.attempt.stalled, late)
		}
	}
}

// drain ends Run: it waits for running probes to finish, then cancels them and waits again.
func (c *Checker) drain(stop context.CancelFunc) {
	done := make(chan struct{})
	go func() {
		c.running.Wait()
		close(done)
	}()
	close(c.drained)
	for _, force := range []func(){func() {}, stop} {
		force()
		timer := time.NewTimer(drainTimeout)
		select {
		case <-done:
			timer.Stop()
			return
		case <-timer.C:
		}
	}
	c.log.Warn("probes did not return after their deadline; abandoned")
}
