package checker

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/probe"
)

// finished is a probe that has returned.
type finished struct {
	attempt *attempt
	result  health.Result
}

// launch starts a probe of a check that has none running.
func (c *Checker) launch(ctx context.Context, k *check, now time.Time) {
	a := &attempt{check: k, started: now, hasSlot: true, beside: k.kept.isOpen()}
	if k.early > 0 {
		k.early--
		a.follows, a.early = true, !k.owed
	}
	k.attempt, k.owed = a, false
	c.busy++
	c.agenda.add(event{at: now.Add(slotTime), what: yields, attempt: a})
	c.agenda.add(event{at: now.Add(k.id.Check.Timeout + grace), what: overdue, attempt: a})
	limit := k.id.Check.Timeout
	target := targetOf(k.id.Target, k.id.Check)
	c.running.Go(func() {
		r := c.ask(ctx, target, limit, &a.asking)
		select {
		case c.results <- finished{a, r}:
		case <-c.drained:
		}
	})
}

// ask reads the files of a check and makes it. asking is set in between.
func (c *Checker) ask(ctx context.Context, target *probe.Target, limit time.Duration, asking *atomic.Bool) health.Result {
	kind := target.Kind
	if file := kind.SecretFile(); file != "" {
		var err error
		if target.Password, err = c.secrets(file); err != nil {
			return health.Result{Code: health.Secret, Cause: fmt.Sprintf("%s: %v", kind.Type(), err)}
		}
	}
	if err := c.certificates(target); err != nil {
		return health.Result{Code: health.Secret, Cause: fmt.Sprintf("%s: %v", kind.Type(), err)}
	}
	asking.Store(true)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return c.probe(ctx, target)
}

func targetOf(address netip.AddrPort, c config.Check) *probe.Target {
	return &probe.Target{Address: address, From: c.Source, Mark: c.Mark, Kind: c.Kind}
}

// certificates reads the certificates of a check.
func (c *Checker) certificates(t *probe.Target) error {
	certified, is := t.Kind.(config.Certified)
	if !is {
		return nil
	}
	authorities, own := certified.CertificateFiles()
	for _, file := range []struct {
		path string
		in   *string
		read func(string) (string, error)
	}{{authorities, &t.Authorities, c.public.ReadPublic}, {own, &t.Certificate, c.secrets}} {
		if file.path == "" {
			continue
		}
		var err error
		if *file.in, err = file.read(file.path); err != nil {
			return err
		}
	}
	return nil
}

// files returns the names of the files that a check reads before it asks.
func files(kind config.CheckKind) string {
	names := []string{kind.SecretFile()}
	if certified, is := kind.(config.Certified); is {
		authorities, own := certified.CertificateFiles()
		names = append(names, authorities, own)
	}
	return strings.Join(slices.DeleteFunc(names, func(n string) bool { return n == "" }), ", ")
}

// finish processes the result of a probe that has returned.
func (c *Checker) finish(ctx context.Context, f finished, now time.Time) {
	a, k := f.attempt, f.attempt.check
	c.yield(a)
	k.attempt = nil
	if k.retired {
		c.checks.remove(k)
		return
	}
	if a.abandoned { // already counted as a time-out
		if k.early > 0 {
			c.enqueue(k)
		}
		return
	}
	r := f.result
	if r.Code == health.Timeout && a.starved() {
		r = a.stallResult(r.Took)
	}
	c.applyResult(a, r, now)
	if k.early == 0 && r.Class == health.Good { // else it is older than the end of the connection, and the next check says more
		c.keep(ctx, k, now)
	}
	switch {
	case k.owed || k.early > 0:
		c.enqueue(k)
	case k.id.Check.Retry > 0 && r.Class == health.Bad && (k.state.Doubtful() || k.state.Undecided()):
		c.retry(k, a.started, now)
	}
}

// retry makes the next probe of a check earlier, because the last one, which started at a time, failed.
func (c *Checker) retry(k *check, started, now time.Time) {
	at := started.Add(k.id.Check.Retry)
	if at.Before(now) {
		at = now
	}
	c.recheck(k, at)
}

// recheck makes the next probe of a check at a time, unless it is due earlier.
func (c *Checker) recheck(k *check, at time.Time) {
	if at.Before(k.due) {
		k.due = at
		c.agenda.add(event{at: at, what: due, check: k})
	}
}

// yield releases the slot of a probe, if it has one.
func (c *Checker) yield(a *attempt) {
	if a.hasSlot {
		a.hasSlot = false
		c.busy--
	}
}

// abandon stops waiting for a probe that has not returned, and counts it as a time-out.
func (c *Checker) abandon(a *attempt, now time.Time) {
	if a.check.attempt != a || a.abandoned {
		return
	}
	if a.starved() && !a.extended { // the stall kept it from ending in time
		a.extended = true
		c.agenda.add(event{at: now.Add(grace), what: overdue, attempt: a})
		return
	}
	a.abandoned = true
	c.yield(a)
	if !a.check.retired {
		c.applyResult(a, a.overdueResult(now), now)
	}
}

// overdueResult is the result of a check whose probe does not return.
func (a *attempt) overdueResult(now time.Time) health.Result {
	k, took := a.check, now.Sub(a.started).Round(10*time.Millisecond)
	if a.starved() {
		return a.stallResult(took)
	}
	if !a.asking.Load() {
		return unread(k.id.Check, took)
	}
	return unanswered(k.id.Target, k.id.Check, took)
}

// unread is the result of a check whose files have not been read.
func unread(c config.Check, took time.Duration) health.Result {
	return health.Result{Code: health.Secret, Took: took, Cause: fmt.Sprintf(
		"%s: reading %s takes longer than %v (put it on a local disk)", c.Kind.Type(), files(c.Kind), took)}
}

// unanswered is the result of a check that has been made and has not returned. One that asks no server waits for a disk of this
// director.
func unanswered(target netip.AddrPort, c config.Check, took time.Duration) health.Result {
	if c.Kind.Network() == "" {
		code, what := health.Stuck, "program"
		if c.Kind.Type() == config.File {
			code, what = health.Unreadable, "file"
		}
		return health.Result{Code: code, Took: took, Cause: fmt.Sprintf(
			"%s: the check has not returned for %v (put the %s on a local disk)", c.Kind.Type(), took, what)}
	}
	of := ""
	if target.IsValid() {
		of = target.String() + ": "
	}
	return health.Result{Code: health.Timeout, Class: health.Bad, Took: took, Cause: fmt.Sprintf(
		"%s: %sno answer within %v, and the check has not returned for %v", c.Kind.Type(), of, c.Timeout, took)}
}

// starved reports whether the director was stalled for so much of the attempt that a time-out is not the server's
// fault.
func (a *attempt) starved() bool { return a.stalled >= min(stallThreshold, a.check.id.Check.Timeout/2) }

// stallResult is the result of a time-out during a stall of the director: it is no evidence about the server.
func (a *attempt) stallResult(took time.Duration) health.Result {
	return health.Result{Code: health.Local, Took: took, Cause: fmt.Sprintf(
		"%s: no answer, but this director itself was stalled for %v", a.check.id.Check.Kind.Type(), a.stalled.Round(10*time.Millisecond))}
}

// take applies a result to its check, and publishes the verdicts of all subjects that share it.
func (c *Checker) take(k *check, r health.Result, now time.Time) {
	if k.id.Track {
		switch r.Code {
		case health.NoNetwork, health.Unrunnable, health.Stuck: // a track is about this director
			r.Class = health.Bad
		}
	}
	c.warn(k, r, now)
	next, _ := k.state.Step(now, r)
	c.become(k, r, next, now)
}

// become gives a check the state that follows from a result.
func (c *Checker) become(k *check, r health.Result, next health.State, now time.Time) {
	c.logChecked(k, r)
	k.state = next
	k.history.add(now, r)
	c.measure(k, r)
	k.answered = k.answered || !k.state.Undecided()
	for _, user := range k.users {
		c.publish(user)
	}
	c.lookReady()
}

func (c *Checker) logChecked(k *check, r health.Result) {
	if c.log.Enabled(context.Background(), slog.LevelDebug) {
		c.log.Debug("checked", "server", k.names(), "class", r.Class.String(), "code", string(r.Code), "cause", r.Cause, "took", r.Took)
	}
}

// sameCodePause is the minimum time between two warnings about one check with the same code: causes may alternate, as an
// unplugged cable makes some probes time out and others fail at once.
const sameCodePause = time.Minute

// warn logs a check that cannot be made, once for each cause.
func (c *Checker) warn(k *check, r health.Result, now time.Time) {
	w := k.warned
	same := w != nil && r.Code == w.result.Code && (r.Cause == w.result.Cause || now.Sub(w.at) < sameCodePause)
	switch {
	case r.Class == health.Unknown && !same:
		c.log.Warn("check is inconclusive; the server's last state is kept", "server", k.names(), "code", string(r.Code), "cause", r.Cause)
		k.warned = &warning{r, now}
	case r.Class != health.Unknown && w != nil:
		c.log.Info("check works again", "server", k.names(), "cause", r.Cause)
		k.warned = nil
	}
}

// publish publishes the verdict of a subject to readers, and reports a change to onChange.
func (c *Checker) publish(s *subject) {
	v := s.verdict()
	if *s.cell.Load() != v {
		s.cell.Store(&v)
	}
	var before health.Verdict
	if s.reported != nil {
		before = *s.reported
	}
	s.reported = s.cell.Load()
	if v.Same(before) {
		return
	}
	c.onChange(s.spec.Subject, before, v)
}

// lookReady closes Ready when every check has had a result.
func (c *Checker) lookReady() {
	if c.isReady {
		return
	}
	for k := range c.checks.all() {
		if len(k.users) > 0 && !k.answered {
			return
		}
	}
	c.isReady = true
	close(c.ready)
}
