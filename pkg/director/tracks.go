package director

import (
	"fmt"
	"maps"
	"strconv"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/election"
	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/status"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// stand takes in the states of the instances if one of them, or what is checked, depends on them.
func (d *Director) stand(l *loops) {
	p := d.plan.Load()
	if p.Suspends() {
		if now := contending(l.instances.snapshots()); !maps.Equal(now, d.in.Active) {
			d.in.Active, d.changed = now, true
		}
	}
	if !p.TracksInstances() {
		return
	}
	if now := standings(p, l.instances.snapshots()); !maps.Equal(now, d.in.Standings) {
		d.in.Standings, d.judged = now, true
	}
}

// contending returns the instances that are MASTER, or will be when they are ready.
func contending(snapshots map[config.InstanceID]*election.Snapshot) map[config.InstanceID]bool {
	all := map[config.InstanceID]bool{}
	for id, s := range snapshots {
		if s.State == vrrp.Master || s.Contends {
			all[id] = true
		}
	}
	return all
}

// standings returns the states of the instances by their names.
func standings(p plan.Plan, snapshots map[config.InstanceID]*election.Snapshot) map[string]plan.Standing {
	all := map[string]plan.Standing{}
	for _, i := range p.Instances {
		if s, runs := snapshots[i.ID]; runs {
			all[i.Config.Name] = plan.Standing{State: s.State, Since: s.Since}
		}
	}
	return all
}

// recordTracks records what has changed between two plans: the states of tracks that no loop watches, and the priorities
// of instances.
func (d *Director) recordTracks(from, to plan.Plan) {
	told := map[string]bool{}
	for _, now := range to.Instances {
		before, ran := from.Instance(now.ID)
		if !ran {
			continue
		}
		for _, t := range now.Tracks {
			if t.Type != config.VirtualServerState && t.Type != config.InstanceState || told[t.Use.Name] {
				continue
			}
			told[t.Use.Name] = true
			d.recordVerdict(config.Subject{Track: config.TrackID(t.Use.Name)}, verdictIn(before, t.Use.Name), t.Verdict)
		}
		if before.Params.Priority != now.Params.Priority {
			d.o.Record(event.Event{
				Kind: event.InstancePriority, Subject: now.Config.Name, VirtualRouterID: now.Params.VRID,
				From: strconv.Itoa(int(before.Params.Priority)), To: strconv.Itoa(int(now.Params.Priority)), Reason: now.PriorityReason(),
			})
		}
	}
}

func verdictIn(i plan.Instance, track string) health.Verdict {
	for _, t := range i.Tracks {
		if t.Use.Name == track {
			return t.Verdict
		}
	}
	return health.Verdict{}
}

// trackVerdict returns the verdict of a track as it is now.
func trackVerdict(s snapshots, t config.Track) health.Verdict {
	if t.Type() == config.VirtualServerState || t.Type() == config.InstanceState {
		return plan.TrackVerdict(t, s.plan.Config.VirtualServers, s.verdicts, s.plan.Table.Decisions, standings(s.plan, s.instances))
	}
	return verdictOf(s.verdicts, config.Subject{Track: config.TrackID(t.Name)})
}

// trackStatus returns the tracks of an instance with their effects.
func trackStatus(i plan.Instance) []status.InstanceTrack {
	var all []status.InstanceTrack
	for _, t := range i.Tracks {
		s := status.InstanceTrack{Name: t.Use.Name, State: word(t.Verdict), Weight: t.Use.Weight, Reverse: t.Use.Reverse, Points: t.Effect.Points}
		switch {
		case t.Effect.Fault:
			s.Effect = status.EffectFault
		case t.Effect.Shut:
			s.Effect = status.EffectNotMaster
		}
		all = append(all, s)
	}
	return all
}

// trackProblems returns the problems of the tracks of an instance that do not put it into FAULT, which would be reason
// enough, and of priorities that decide nothing.
func trackProblems(i plan.Instance, a *election.Snapshot) []problem.Finding {
	var found []problem.Finding
	name := i.Config.Name
	weighted := false
	for _, t := range i.Tracks {
		weighted = weighted || t.Use.Weight != 0
		if t.Use.Weight != 0 && t.Type != config.File && t.Adverse() && !t.Effect.Fault {
			found = append(found, problem.Finding{Code: problem.TrackDown, Subject: t.Use.Name, Related: []string{name}, Text: fmt.Sprintf(
				"track %s: %s; %s has the priority %d: %s", t.Use.Name, t.Verdict.Reason, name, i.Params.Priority, i.PriorityReason())})
		}
	}
	switch {
	case a.HeldBack && a.Gate != "":
		found = append(found, problem.Finding{Code: problem.VIPsNotTaken, Subject: name, Text: fmt.Sprintf(
			"%s: no MASTER is heard, and this director must not become it: %s", name, a.Gate)})
	case i.Waiting(): // a first result comes soon
	case a.State == vrrp.Master:
		found = append(found, problem.Finding{Code: problem.TakeOverBarred, Subject: name, Text: fmt.Sprintf(
			"%s: this director stays MASTER, but would not become it again: %s", name, a.Gate)})
	case a.Gate != "":
		found = append(found, problem.Finding{Code: problem.TakeOverBarred, Subject: name, Text: fmt.Sprintf(
			"%s: this director will not become MASTER: %s", name, a.Gate)})
	}
	if weighted && a.State == vrrp.Backup && a.Master.IsValid() && a.MasterPriority == a.Priority {
		found = append(found, problem.Finding{Code: problem.PrioritiesEqual, Subject: name, Text: fmt.Sprintf(
			"%s: the MASTER %s and this director both have the priority %d: %s", name, a.Master, a.Priority, i.PriorityReason())})
	}
	return found
}
