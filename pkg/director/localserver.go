package director

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// notMarked returns the problem of marking rules that cannot be set.
func notMarked(s snapshots) []problem.Finding {
	if s.marks == "" || len(s.plan.Marking.Endpoints) == 0 && len(s.plan.Marking.Local) > 0 {
		return nil
	}
	return []problem.Finding{{Code: problem.NotMarked, Text: "packets to virtual servers by firewall mark are not marked: " + s.marks}}
}

// localServers returns the problems of real servers that are directors too: those that get their connections in a tunnel or
// by a mark that others set, and all of this director if the rules by which it delivers to itself cannot be set.
func localServers(s snapshots) []problem.Finding {
	var found []problem.Finding
	for _, l := range s.plan.Config.LocalServers() {
		why := ""
		switch {
		case l.Forward == config.TUN:
		case l.Unmarked:
			why = ": with marking: none it cannot tell these from others (use marking: nftables)"
		case s.marks != "" && l.Director == s.plan.Node.Name:
			why = ": " + s.marks
		case s.neighbours != "" && l.Director == s.plan.Node.Name:
			why = ": " + s.neighbours
		case l.Director == s.plan.Node.Name && unknownMaster(s).IsValid():
			master := unknownMaster(s)
			why = fmt.Sprintf(": the hardware address of the MASTER %s is not known, so that its packets are not recognized; packets may even go back and forth (ip neigh show %s)", master, master)
		default:
			continue
		}
		found = append(found, problem.Finding{Code: problem.DirectorIsRealServer, Subject: l.VirtualServer, Text: fmt.Sprintf(
			"%s: its real server %s is director %s too: while another director is MASTER, some of its connections fail%s", l.VirtualServer, l.RealServer, l.Director, why)})
	}
	return found
}

// unknownMaster returns a MASTER that an instance hears and whose hardware address is not known; invalid if there is none. One whose
// adverts come from an address that the file does not have is one of the directors: it is not known if none of them is.
func unknownMaster(s snapshots) netip.Addr {
	for _, i := range s.plan.Instances {
		a := s.instances[i.ID]
		if a == nil || a.State == vrrp.Master || !a.Master.IsValid() {
			continue
		}
		all := s.plan.Marking.Directors
		if slices.Contains(s.unknown, a.Master) || len(all) > 0 && !slices.Contains(all, a.Master) && len(s.unknown) == len(all) {
			return a.Master
		}
	}
	return netip.Addr{}
}

// localMissing returns the problems of a director that gets connections as a real server, and does not have their address: it is
// on lo while another director is MASTER. What the MASTER thinks of that real server is not known; what this director thinks of
// it stands for that.
func localMissing(s snapshots) []problem.Finding {
	var found []problem.Finding
	for _, i := range s.plan.Instances {
		if a, runs := s.instances[i.ID]; !runs || a.State == vrrp.Master || a.HeldBack || !a.Master.IsValid() {
			continue
		}
		for _, p := range i.Config.Held() {
			if !slices.ContainsFunc(s.plan.LocalMissing, func(l plan.LocalMissing) bool {
				return l.Address == p.Addr() && s.plan.Table.Conditions()(l.Server).Admits(l.Weight)
			}) {
				continue
			}
			found = append(found, problem.Finding{Code: problem.LocalVIPMissing, Subject: i.Config.Name, Text: localMissingText(i.Config.Name, p.Addr())})
		}
	}
	return found
}

func localMissingText(instance string, vip netip.Addr) string {
	return fmt.Sprintf("%s: this director is a real server for %s too, and no interface has it: connections that the MASTER sends here get no answer", instance, vip)
}
