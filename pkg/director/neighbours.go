package director

import (
	"fmt"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/election"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// neighbourProblems are sentences about what an instance hears and should not.
func neighbourProblems(cfg *config.Config, node string, i config.Instance, a election.Snapshot) []string {
	var problems []string
	say := func(format string, args ...any) {
		problems = append(problems, "VRRP instance "+i.Name+": "+fmt.Sprintf(format, args...))
	}
	if a.Flood != "" {
		say("%s", a.Flood)
	}
	if a.Echo {
		say("packets come from this director's own address %s: a loop in the network, or another machine with this address", a.Source)
	}
	if foreign(cfg, node, a) {
		say("%s is MASTER with priority %d and is no director of the cluster file: another virtual router %d in this network, "+
			"or forged adverts (VRRP has no authentication: find that machine, or choose another virtual_router_id)",
			a.Master, a.MasterPriority, i.VRID)
	}
	if a.SendError != "" {
		say("cannot send adverts: %s", a.SendError)
	}
	return problems
}

// foreign says whether somebody is MASTER whom the cluster file does not know. On networks other than that of the
// directors' own addresses it does not know anybody, and that says nothing.
func foreign(cfg *config.Config, node string, a election.Snapshot) bool {
	us, err := cfg.DirectorNamed(node)
	if err != nil || a.Source != us.Address || !a.Master.IsValid() || a.MasterPriority == vrrp.PriorityResign {
		return false
	}
	return !slices.ContainsFunc(cfg.Directors, func(d config.Director) bool { return d.Address == a.Master })
}
