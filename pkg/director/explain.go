package director

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/checker"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/probe"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// explainWithin bounds the wait for the checker, whose loop answers at once unless it is stalled.
const explainWithin = 3 * time.Second

// Explain returns why a real server, "SERVICE/SERVER", is in or out. It may be called from any goroutine.
func (d *Director) Explain(ctx context.Context, name string) (status.Explanation, error) {
	_, e, err := d.explained(ctx, name)
	if err != nil {
		return status.Explanation{}, err
	}
	doc := status.Explanation{Needed: e.Needed, Checks: []status.Check{}}
	service, server, _ := strings.Cut(name, "/")
	for _, v := range d.Status().VirtualServers {
		for _, r := range v.RealServers {
			if v.Name == service && r.Name == server {
				doc.RealServer = r
			}
		}
	}
	for _, c := range e.Checks {
		doc.Checks = append(doc.Checks, checkStatus(c))
	}
	return doc, nil
}

// ProbeOnce makes the checks of a real server once, all at the same time, without effect on its state. It returns soon after the
// longest of their time-outs.
func (d *Director) ProbeOnce(ctx context.Context, name string) ([]status.Probe, error) {
	l, e, err := d.explained(ctx, name)
	if err != nil {
		return nil, err
	}
	if len(e.Checks) == 0 {
		return nil, fmt.Errorf("%s has no check: give it one in the cluster file", name)
	}
	all, failed := make([]status.Probe, len(e.Checks)), make([]error, len(e.Checks))
	var running sync.WaitGroup
	for i, c := range e.Checks {
		running.Go(func() {
			trace := probe.NewTrace()
			r, err := l.checker.Once(ctx, c, trace)
			failed[i] = err
			all[i] = status.Probe{Type: string(c.Check.Kind.Type()), Target: targetText(c), Result: resultStatus(checker.Record{At: time.Now(), Result: r}), Trace: trace.Lines()}
		})
	}
	running.Wait()
	if err := errors.Join(failed...); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return all, nil
}

// explained returns the checks of a real server.
func (d *Director) explained(ctx context.Context, name string) (*loops, checker.Explanation, error) {
	l := d.loops.Load()
	if l == nil {
		return nil, checker.Explanation{}, errors.New("the director has not started yet: try again, or see its log")
	}
	ctx, cancel := context.WithTimeout(ctx, explainWithin)
	defer cancel()
	service, server, _ := strings.Cut(name, "/")
	e, found, err := l.checker.Explain(ctx, config.Subject{Server: config.ServerID{Service: service, Server: server}})
	switch {
	case err != nil:
		return nil, e, fmt.Errorf("the checker does not answer: %w: see lvsctl status", err)
	case !found:
		return nil, e, fmt.Errorf("no real server is named %q: want %s", name, strings.Join(d.serverNames(), ", "))
	}
	return l, e, nil
}

// shownNames is how many names an error lists.
const shownNames = 20

// serverNames returns the names of the real servers, "…" for those beyond the first.
func (d *Director) serverNames() []string {
	var names []string
	for _, v := range d.plan.Load().Table.Servers {
		for _, r := range v.RealServers {
			names = append(names, v.Name+"/"+r.Name)
		}
	}
	if len(names) > shownNames {
		names = append(slices.Clip(names[:shownNames]), "…")
	}
	return names
}

func checkStatus(c checker.Explained) status.Check {
	doc := status.Check{
		Type: string(c.Check.Kind.Type()), Target: targetText(c), Interval: c.Check.Interval.Milliseconds(), Timeout: c.Check.Timeout.Milliseconds(),
		Rule: c.State.Rule(), Total: c.Total, Good: c.Good, Inconclusive: c.Inconclusive, Next: c.Next, Failures: []status.CheckResult{},
	}
	if !c.Last.At.IsZero() {
		last := resultStatus(c.Last)
		doc.Last = &last
	}
	if c.Check.Keeps() {
		doc.Kept = keptStatus(c.Kept, time.Now())
	}
	for _, f := range c.Failures {
		doc.Failures = append(doc.Failures, resultStatus(f))
	}
	return doc
}

func keptStatus(k checker.Kept, now time.Time) *status.KeptConnection {
	doc := &status.KeptConnection{Open: !k.Since.IsZero(), Why: k.Why}
	if doc.Open {
		doc.Since = &k.Since
	} else if k.Again.After(now) {
		doc.Again = &k.Again
	}
	if !k.Ended.At.IsZero() {
		ended := resultStatus(k.Ended)
		doc.Ended = &ended
	}
	return doc
}

func targetText(c checker.Explained) string {
	switch {
	case !c.Target.IsValid() || c.Check.Kind.Network() == "":
		return ""
	case c.Check.Kind.Network() == config.OverICMP:
		return c.Target.Addr().String()
	}
	return c.Target.String()
}

func resultStatus(r checker.Record) status.CheckResult {
	doc := status.CheckResult{At: r.At, Code: string(r.Code), Class: r.Class.String(), Cause: r.Cause, Took: r.Took.Microseconds()}
	if r.Weighted && r.Class == health.Good {
		weight := int(r.Weight)
		doc.Weight = &weight
	}
	return doc
}
