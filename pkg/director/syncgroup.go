package director

import (
	"fmt"
	"strings"
	"time"

	"github.com/lvs-director/lvs-director/pkg/election"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/status"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// groupMember is a member of a sync group at one moment.
type groupMember struct {
	plan.Instance
	*election.Snapshot
}

// describe returns a member with its reason: "outside: BACKUP: higher priority 150 from 10.77.0.2".
func (m groupMember) describe() string { return m.Config.Name + ": " + m.Reason }

// membersOf returns the members of a group that run.
func (s snapshots) membersOf(g plan.Group) []groupMember {
	var all []groupMember
	for _, id := range g.Members {
		i, known := s.plan.Instance(id)
		if a, runs := s.instances[id]; known && runs {
			all = append(all, groupMember{i, a})
		}
	}
	return all
}

// syncGroupStatus returns the sync groups of the status document.
func syncGroupStatus(s snapshots) []status.SyncGroup {
	var all []status.SyncGroup
	for _, g := range s.plan.Groups {
		members := s.membersOf(g)
		if len(members) == 0 {
			continue
		}
		doc := status.SyncGroup{Name: g.Name, State: members[0].State.String(), Instances: []string{}}
		decides := members[0]
		var back []groupMember
		for _, m := range members {
			doc.Instances = append(doc.Instances, m.Config.Name)
			if m.State != decides.State {
				doc.State = "MIXED"
			}
			if m.State == vrrp.Fault && (m.Fault() != "" || m.Unfit != "") {
				back = append(back, m)
			}
		}
		if _, hear := heldBack(members); len(hear) > 0 {
			back = hear
		}
		if len(back) > 0 {
			decides = back[0]
		}
		for _, m := range back {
			doc.HeldBackBy = append(doc.HeldBackBy, m.Config.Name)
		}
		doc.Reason = decides.describe()
		all = append(all, doc)
	}
	return all
}

// heldBack returns the members that would be MASTER, and those because of which they are not.
func heldBack(members []groupMember) (waiting, back []groupMember) {
	for _, m := range members {
		switch {
		case m.State != vrrp.Backup:
			return nil, nil
		case m.DueFor > 0:
			waiting = append(waiting, m)
		default:
			back = append(back, m)
		}
	}
	if len(back) == 0 {
		return nil, nil
	}
	return waiting, back
}

// settles is how long the members of a group may differ: a member that comes to a running group listens for a master-down
// interval first, and MASTERs do not fall silent at the same moment on all segments.
func settles(members []groupMember) (d time.Duration) {
	for _, m := range members {
		p := m.Params
		d = max(d, vrrp.MasterDownInterval(p.Version, p.Priority, p.AdvertInterval, p.DownAdverts)+p.AdvertInterval)
	}
	return max(d, 2*time.Second)
}

// syncGroupProblems returns the problems of sync groups whose members do not agree.
func syncGroupProblems(s snapshots, now time.Time) []problem.Finding {
	var found []problem.Finding
	for _, g := range s.plan.Groups {
		members := s.membersOf(g)
		if len(members) < 2 {
			continue
		}
		var related, states []string
		differ, since := false, time.Time{}
		for _, m := range members {
			related = append(related, m.Config.Name)
			states = append(states, m.describe())
			differ = differ || m.State != members[0].State
			if m.Since.After(since) {
				since = m.Since
			}
		}
		if differ && now.Sub(since) > settles(members) {
			found = append(found, problem.Finding{Code: problem.SyncGroupSplit, Subject: g.Name, Text: fmt.Sprintf(
				"sync group %s: its instances are in different states: %s", g.Name, strings.Join(states, "; "))})
		}
		waiting, back := heldBack(members)
		for _, m := range waiting {
			if m.DueFor > settles(members) {
				found = append(found, problem.Finding{Code: problem.SyncGroupHeldBack, Subject: g.Name, Related: related, Text: fmt.Sprintf(
					"sync group %s: %s hears no MASTER, and is not one because of %s: does that router hold the virtual addresses of both?",
					g.Name, m.Config.Name, back[0].describe())})
				break
			}
		}
	}
	return found
}
