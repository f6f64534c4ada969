package director

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/override"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// forgottenOverride is the age from which on an override without an end is likely to have been forgotten.
const forgottenOverride = 24 * time.Hour

// overridesStatus returns what operators have decided, and is in effect.
func overridesStatus(s snapshots, now time.Time) (all []status.Override) {
	for _, o := range inForce(s, now) {
		one := status.OverrideOf(o)
		one.Unused = !o.Target.Director() && len(coveredBy(o.Target, s.plan.Config)) == 0
		all = append(all, one)
	}
	return all
}

// inForce returns the overrides that have an effect, or would have one if the file had their real server: not those that
// a later decision about another target has ended for all their real servers.
func inForce(s snapshots, now time.Time) (all []override.Override) {
	for _, o := range s.overrides.All() {
		servers := coveredBy(o.Target, s.plan.Config)
		if o.Active(now) && (len(servers) == 0 || slices.ContainsFunc(servers, func(one overridden) bool {
			last, _ := s.overrides.Last(one.as)
			return last == o
		})) {
			all = append(all, o)
		}
	}
	return append(all, s.overrides.Others()...)
}

// overrideServers adds that to the real servers.
func overrideServers(doc *status.Director, s snapshots, now time.Time) {
	if len(doc.Overrides) == 0 {
		return
	}
	for i, v := range s.plan.Config.VirtualServers {
		for j, r := range v.RealServers {
			id, server := subject(v, r)
			if o, ok := s.overrides.Of(server, now); ok {
				c := s.plan.Table.Condition(id)
				overrideServer(&doc.VirtualServers[i].RealServers[j], o, c.Known && !c.Up)
			}
		}
	}
}

// overrideServer adds an override to the status of a real server: its reason says who, when and why before what its checks
// say.
func overrideServer(r *status.RealServer, o override.Override, failing bool) {
	r.Override = new(status.OverrideOf(o))
	who := fmt.Sprintf("by %s since %s", o.Author, o.Since.Local().Format(time.DateTime))
	if o.Reason != "" {
		who += " (" + o.Reason + ")"
	}
	if !o.Until.IsZero() {
		who += " until " + o.Until.Local().Format(time.DateTime)
	}
	checks := strings.TrimPrefix(strings.TrimPrefix(r.Reason, "disabled; "), "draining: the weight is 0; ")
	switch {
	case r.State == "draining" && o.Kind == override.Drain:
		if !o.Patience.IsZero() {
			who += ", at most until " + o.Patience.Local().Format(time.DateTime)
		}
		open := fmt.Sprintf("%d connections are open", r.ActiveConnections)
		if failing && r.ActiveConnections == 0 {
			open = "its checks fail, and the drain goes on when they pass"
		}
		r.Reason = fmt.Sprintf("draining: %s; %s; %s", open, who, checks)
	case r.State == "disabled" && o.Kind == override.Drain:
		r.Reason = fmt.Sprintf("disabled: it has been drained %s; %s", who, checks)
	case r.State == "disabled":
		r.Reason = fmt.Sprintf("disabled %s; %s", who, checks)
	default:
		r.Reason += fmt.Sprintf("; %s %s", o, who)
	}
}

// overrideProblems returns the problems of overrides that were forgotten.
func overrideProblems(s snapshots, now time.Time) []problem.Finding {
	var found []problem.Finding
	for _, o := range inForce(s, now) {
		if !o.Until.IsZero() || now.Sub(o.Since) < forgottenOverride {
			continue
		}
		name, enable := o.Target.String(), "lvsctl enable "+o.Target.String()
		if o.Target.Director() {
			enable = "lvsctl enable --director"
		}
		if o.File != "" {
			enable = "rm " + o.File
		}
		f := problem.Finding{Code: problem.OverrideForgotten, Subject: name, Text: fmt.Sprintf("%s: %s since %s %s, and without an end: %s ends it",
			name, o, o.Since.Local().Format(time.DateTime), decisionText(o), enable)}
		if !o.Target.Director() && len(coveredBy(o.Target, s.plan.Config)) == 0 {
			f.Text += "; the cluster file has no such real server"
		}
		found = append(found, f)
	}
	return found
}

// refusingProblems returns the problems of virtual servers whose scheduler refuses the clients of a server that is taken out.
func refusingProblems(s snapshots) []problem.Finding {
	var found []problem.Finding
	for _, v := range s.plan.Table.Servers {
		var names []string
		for _, r := range v.RealServers {
			a := s.plan.Table.Decisions.Of(config.ServerID{Service: v.Name, Server: r.Name}).Admission
			if lvs.RefusesAt(v, a) {
				names = append(names, r.Name)
			}
		}
		if len(names) > 0 {
			found = append(found, problem.Finding{Code: problem.DrainRefusesClients, Subject: v.Name, Text: fmt.Sprintf(
				"%s: the scheduler %s refuses the clients that it has assigned to %s, which an operator has taken out", v.Name, v.Scheduler, strings.Join(names, ", "))})
		}
	}
	return found
}

// emptied returns the problem of a pool that is down and would not be if an operator had not decided otherwise.
func emptied(v status.VirtualServer) (problem.Finding, bool) {
	var out []string
	for _, r := range v.RealServers {
		spare := r.Role == string(config.Sorry) && v.SorryServerUsed // another sorry server has the clients
		if !spare && r.Override != nil && r.Override.Kind != string(override.Weight) && (r.State == "draining" || r.State == "disabled") && r.Up {
			out = append(out, r.Name)
		}
	}
	if len(out) == 0 {
		return problem.Finding{}, false
	}
	return problem.Finding{
		Code: problem.PoolEmptied, Subject: v.Name,
		Text: fmt.Sprintf("%s: %s, and an operator has taken out %s, whose checks pass", v.Name, v.Reason, strings.Join(out, ", ")),
	}, true
}
