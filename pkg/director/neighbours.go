package director

import (
	"fmt"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/election"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// neighbourProblems returns the problems of unexpected packets that an instance receives and of adverts that it cannot
// send.
func neighbourProblems(cfg *config.Config, node string, i config.Instance, a election.Snapshot) []problem.Finding {
	var found []problem.Finding
	intro := "VRRP instance " + i.Name + ": "
	say := func(code problem.Code, format string, args ...any) {
		found = append(found, problem.Finding{Code: code, Subject: i.Name, Text: intro + fmt.Sprintf(format, args...), Related: []string{i.Interface}})
	}
	if a.Flood != "" {
		found = append(found, flood(i.Name, intro+a.Flood))
	}
	if a.Echo {
		say(problem.OwnPackets, "packets come from this director's own address %s: a loop in the network, or another machine with this address", a.Source)
	}
	if foreign(cfg, node, a) {
		say(problem.UnknownMaster, "%s is MASTER with priority %d and is no director of the cluster file: another virtual router %d in this network, "+
			"or forged adverts (VRRP has no authentication: find that machine, or choose another virtual_router_id)",
			a.Master, a.MasterPriority, i.VRID)
	}
	if a.SendError != "" {
		say(problem.AdvertsNotSent, "cannot send adverts: %s", a.SendError)
	}
	return found
}

// flood returns the problem of a flood of ignored packets for an instance or on an interface.
func flood(subject, text string) problem.Finding {
	return problem.Finding{Code: problem.PacketFlood, Subject: subject, Text: text}
}

// foreign reports whether the MASTER is a host that is not in the cluster file. It is false on networks other than that
// of the directors' own addresses, where the file does not list the addresses of the directors.
func foreign(cfg *config.Config, node string, a election.Snapshot) bool {
	us, err := cfg.DirectorNamed(node)
	if err != nil || a.Source != us.Address || !a.Master.IsValid() || a.MasterPriority == vrrp.PriorityResign {
		return false
	}
	return !slices.ContainsFunc(cfg.Directors, func(d config.Director) bool { return d.Address == a.Master })
}
