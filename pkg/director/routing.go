package director

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/problem"
)

// removeRouting removes the routes and rules of the state file, and others of ours, that are present: rules before the
// routes that they lead to. One without our protocol number was added by another program, and stays.
func removeRouting(l *loops, others plan.Routing, log *slog.Logger) error {
	known := plan.Routing{Routes: append(l.state.Routes(), others.Routes...), Rules: append(l.state.Rules(), others.Rules...)}
	if len(known.Routes)+len(known.Rules) == 0 {
		return nil
	}
	routes, err := l.routing.Routes()
	if err != nil {
		return err
	}
	rules, err := l.routing.Rules()
	if err != nil {
		return err
	}
	left := known.Leftover(routes, rules)
	var failed []error
	removed := func(what fmt.Stringer, err error) {
		if err != nil {
			failed = append(failed, err)
			return
		}
		log.Info("removed a leftover route or rule", "route", what.String())
	}
	for _, rule := range left.Rules {
		removed(rule, l.routing.RemoveRule(rule))
	}
	for _, route := range left.Routes {
		removed(route, l.routing.Remove(route))
	}
	return errors.Join(failed...)
}

// removeOldRouting removes what an earlier run has left. A failure is no reason not to start: the records are kept, and
// the route loop removes what the cluster file names.
func (d *Director) removeOldRouting(l *loops) {
	if err := removeRouting(l, plan.Routing{}, d.log); err != nil {
		d.log.Error("cannot remove the routes and rules of an earlier run; the next start tries again", "error", err)
		return
	}
	l.state.saved(l.state.SetRouting(nil, nil))
}

// routingWrong returns the problems of routes and rules. A route of an instance that is no longer in the cluster file has
// no instance.
func routingWrong(s snapshots) []problem.Finding {
	var found []problem.Finding
	for _, t := range s.routing {
		subject, text := "", t.Failed.Error()
		if i, named := s.plan.Instance(t.Instance); named {
			subject, text = i.Config.Name, i.Config.Name+": "+text
		}
		found = append(found, problem.Finding{Code: problem.RoutingWrong, Subject: subject, Text: text})
	}
	return found
}
