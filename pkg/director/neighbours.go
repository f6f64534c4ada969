package director

import (
	"fmt"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/election"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// neighbourProblems returns the problems of unexpected packets that an instance receives and of adverts that it cannot
// send.
func neighbourProblems(i config.Instance, a *election.Snapshot) []problem.Finding {
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
	for _, n := range a.Neighbours {
		found = append(found, problem.Finding{Code: neighbourCode(n.Kind), Subject: i.Name, Text: intro + n.Text, Remedy: n.Remedy, Related: []string{i.Interface}})
	}
	if a.SendError != "" {
		say(problem.AdvertsNotSent, "cannot send adverts: %s", a.SendError)
	}
	return found
}

// toNobody returns the problem of an instance whose adverts no other router can receive: on a dummy interface, or to a list of
// unicast peers that are all addresses of this host. The check of the cluster file knows one address of each director only.
func toNobody(i plan.Instance, on plan.Link) []problem.Finding {
	f := problem.Finding{Code: problem.AdvertsNotSent, Subject: i.Config.Name, Related: []string{i.Config.Interface}}
	listed, t := i.Config.Transport.Peers.Addresses, i.Peers.Transport
	switch {
	case on.Dummy && len(i.Peers.Directors)+len(t.Peers) > 0:
		f.Text = fmt.Sprintf("VRRP instance %s: adverts reach nobody: %s is a dummy interface", i.Config.Name, i.Config.Interface)
		f.Remedy = "write the interface to the other directors, and put the VIPs on the dummy with address_options; then run lvsctl reload"
	case t.Unicast && len(t.Peers) == 0 && len(listed) > 0:
		f.Text = fmt.Sprintf("VRRP instance %s: adverts go to nobody: every address of unicast_peers is one of this host: %v", i.Config.Name, listed)
		f.Remedy = "write the addresses of the other routers into unicast_peers, and run lvsctl reload"
	default:
		return nil
	}
	return []problem.Finding{f}
}

// flood returns the problem of a flood of ignored packets for an instance or on an interface.
func flood(subject, text string) problem.Finding {
	return problem.Finding{Code: problem.PacketFlood, Subject: subject, Text: text}
}

// neighbourCode returns the code of what is wrong with another router.
func neighbourCode(kind vrrp.FindingKind) problem.Code {
	switch kind {
	case vrrp.TwoMasters:
		return problem.TwoMasters
	case vrrp.RefusedAdverts:
		return problem.AdvertsRefused
	case vrrp.UnknownMaster:
		return problem.UnknownMaster
	case vrrp.UnknownRouter:
		return problem.UnknownRouter
	case vrrp.VIPsNotHeld:
		return problem.VIPsNotHeld
	case vrrp.VIPListsDiffer:
		return problem.VIPListsDiffer
	case vrrp.VIPClaimed:
		return problem.VIPClaimed
	case vrrp.VIPsElsewhere:
		return problem.VIPsElsewhere
	default:
		return problem.PacketsInvalid
	}
}
