package director

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/status"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// faults returns the problems of instances in FAULT, and of those that a lost carrier does not bring there yet.
func faults(s snapshots) []problem.Finding {
	var found []problem.Finding
	for _, i := range s.plan.Instances {
		if a, runs := s.instances[i.ID]; runs && a.State == vrrp.Fault {
			found = append(found, problem.Finding{Code: problem.InstanceFault, Subject: i.Config.Name, Text: i.Config.Name + ": " + a.Reason, Unready: i.Misfit()})
		} else if lost := cmp.Or(i.Unsteady, i.Untracked); runs && lost != "" {
			found = append(found, problem.Finding{Code: problem.CarrierLost, Subject: i.Config.Name, Text: i.Config.Name + ": " + lost})
		}
	}
	return found
}

// checked returns the problems found by checks: of pools, real servers and tracks.
func checked(servers []status.VirtualServer, tracks []status.Track) []problem.Finding {
	var found []problem.Finding
	for _, v := range servers {
		state := v.State
		if v.ChecksSuspended { // nobody looked, and nobody sends clients here
			state = ""
		}
		switch state {
		case "down":
			if f, by := emptied(v); by {
				found = append(found, f)
				break
			}
			code := problem.VirtualServerDown
			if v.SorryServerUsed {
				code = problem.SorryServerUsed
			}
			found = append(found, problem.Finding{Code: code, Subject: v.Name, Text: v.Name + ": " + v.Reason})
		case "degraded":
			if code := policyCode(v); code != "" {
				found = append(found, problem.Finding{Code: code, Subject: v.Name, Text: v.Name + ": " + v.Reason})
				break
			}
			found = append(found, problem.Finding{
				Code: problem.VirtualServerDegraded, Subject: v.Name, Text: v.Name + ": " + v.Reason, Related: full(v),
			})
		}
		if v.BelowPanicThreshold && !v.ChecksSuspended {
			found = append(found, problem.Finding{Code: problem.BelowPanicThreshold, Subject: v.Name, Text: v.Name + ": " + v.Reason})
		}
		for _, r := range v.RealServers {
			name := v.Name + "/" + r.Name
			if r.Role == string(config.Sorry) && (r.State == "down" || r.State == "unknown" && r.Checked) {
				found = append(found, problem.Finding{Code: problem.SorryServerDown, Subject: name, Text: name + ": " + r.Reason, Related: []string{v.Name}})
			}
			found = append(found, alarming(r.Code, name, name+": "+r.Reason, v.Name)...)
		}
	}
	for _, t := range tracks {
		if t.State != "down" || unusable(t) { // otherwise its instances are in FAULT
			found = append(found, alarming(t.Code, t.Name, "track "+t.Name+": "+t.Reason)...)
		}
	}
	return found
}

// policyCode is the code of a virtual server that is degraded because of what its pool is to do; "" for another reason.
func policyCode(v status.VirtualServer) problem.Code {
	switch {
	case v.Quorum == "lost":
		return problem.QuorumLost
	case v.StandbyUsed:
		return problem.StandbyUsed
	}
	return ""
}

// unusable reports whether the state of a track is not that of what it is about.
func unusable(t status.Track) bool {
	return t.Code == string(health.Unrunnable) || t.Code == string(health.Unreadable)
}

// full returns the names of the full servers of a pool if they are the only reason why it is degraded.
func full(v status.VirtualServer) []string {
	var names []string
	for _, r := range v.RealServers {
		switch {
		case r.Role == string(config.Sorry):
		case r.Code == string(health.ServerFull):
			names = append(names, v.Name+"/"+r.Name)
		case r.State == "down" || r.State == "unknown" || r.State == "up" && r.Weight == 0:
			return nil
		}
	}
	return names
}

// alarming returns the problem of a real server or track whose state is unchanged although an operator must act: its
// check gives no result about it, or it is full.
func alarming(code, subject, text string, related ...string) []problem.Finding {
	f := problem.Finding{Subject: subject, Text: text, Related: related}
	switch health.Code(code) {
	case health.Auth, health.Limited:
		f.Code = problem.CheckLogin
	case health.Blocked:
		f.Code = problem.CheckBlocked
	case health.Secret:
		f.Code = problem.CheckSecret
	case health.Local:
		f.Code = problem.CheckLocal
	case health.NoNetwork:
		f.Code = problem.CheckNoNetwork
	case health.ServerFull:
		f.Code = problem.ServerFull
	case health.Unrunnable, health.Stuck:
		f.Code = problem.CommandUnrunnable
	case health.Expires:
		f.Code = problem.CertificateExpires
	case health.Unreadable:
		f.Code = problem.TrackUnreadable
	default:
		return nil
	}
	return []problem.Finding{f}
}

// ofNode returns the problems that appear in the status document only as text.
func ofNode(s snapshots) []problem.Finding {
	var found []problem.Finding
	on := map[vrrp.Segment][]string{} // the instances of each segment
	for _, i := range s.plan.Instances {
		a, runs := s.instances[i.ID]
		if !runs {
			continue
		}
		on[i.Segment] = append(on[i.Segment], i.Config.Name)
		found = append(found, tooLate(i.Config.Name, a)...)
		found = append(found, neighbourProblems(i.Config, a)...)
		found = append(found, toNobody(i, s.plan.Link(i.Segment))...)
		found = append(found, slices.Concat(falseAlarms(i.Config.Name, a), handoverForgotten(i.Config.Name, a, s.overrides, time.Now()))...)
		found = append(found, slices.Concat(trackProblems(i, a), silentLinks(i.Config, a), notTaken(i.Config, a, time.Now()))...)
	}
	found = append(found, slices.Concat(syncGroupProblems(s, time.Now()), sessionProblems(s.sessions, time.Now()))...)
	found = append(found, strayVIPs(s.plan.Stray)...)
	found = append(found, addressMissing(s.plan)...)
	found = append(found, troubles(s)...)
	found = append(found, slices.Concat(routingWrong(s), hookProblems(s.hooks), syncProblems(s.sync), exchangeProblems(s, time.Now()), positionProblems(s.takeOvers), waitProblems(s.waiting))...)
	for _, segment := range slices.SortedFunc(maps.Keys(s.sockets), vrrp.Segment.Compare) {
		l, name := s.sockets[segment], segment.String()
		if l.Broken != "" {
			found = append(found, problem.Finding{
				Code: problem.SocketUnavailable, Subject: name, Text: fmt.Sprintf("no VRRP socket on %s: %s", name, l.Broken), Related: on[segment],
			})
		}
		if l.Broken == "" && l.Deaf != "" {
			found = append(found, problem.Finding{
				Code: problem.SocketUnavailable, Subject: name, Text: fmt.Sprintf("no adverts are received by multicast on %s: %s", name, l.Deaf), Related: on[segment],
			})
		}
		if l.Flood != "" {
			found = append(found, flood(name, name+": "+l.Flood))
		}
	}
	found = append(found, slices.Concat(ofLoops(s), s.answers, notMarked(s), localServers(s), localMissing(s), lackProblems(s))...)
	if !s.started {
		found = append(found, problem.Finding{Code: problem.DaemonStarting, Text: "the director has not started yet"})
	}
	return found
}

// ofLoops returns what loops say of themselves.
func ofLoops(s snapshots) []problem.Finding {
	var found []problem.Finding
	for _, one := range []struct {
		code  problem.Code
		intro string
		text  string
	}{
		{problem.LoopStalled, "", s.stall},
		{problem.InterfacesUnreadable, "interfaces and addresses cannot be read, so that a lost carrier or VIP is not noticed: ", s.unseen},
		{problem.StateNotSaved, "", s.unsaved},
		{problem.SysctlsWrong, "the sysctls are not as they should be: ", s.sysctls},
		{problem.AcceptModeOff, "accept_mode: false is not in effect: ", s.filter},
		{problem.UnknownReset, "when virtual addresses move, this director may reset connections that it does not know yet: ", s.quiet},
		{problem.SourceNotReplaced, "clients of snat_clients get no answers, because their addresses are not replaced: ", s.sourceNAT},
		{problem.RedirectsNotStopped, "real servers of forward: nat may be told to answer clients directly: ", s.returns},
		{problem.TableWrong, "the IPVS table is not as it should be: ", s.table},
		{problem.TableUnreadable, "", s.unread},
	} {
		if one.text != "" {
			found = append(found, problem.Finding{Code: one.code, Text: one.intro + one.text})
		}
	}
	return found
}

// strayVIPs returns the problems of VIPs that this host has and that no director has added.
func strayVIPs(all []kernel.IfAddr) []problem.Finding {
	found := make([]problem.Finding, len(all))
	for n, at := range all {
		found[n] = problem.Finding{Code: problem.StrayVIP, Subject: at.String(), Text: fmt.Sprintf(
			"%s has the VIP %s, which this director did not add: it stays here even if another director is MASTER: remove it: ip addr del %s dev %s",
			at.Interface, at.Prefix, at.Prefix, at.Interface)}
	}
	return found
}

// answeredVIP returns the problem of a VIP on an interface that does not answer ARP itself, for which another one does.
func answeredVIP(at kernel.IfAddr, by string) problem.Finding {
	return problem.Finding{Code: problem.StrayVIP, Subject: at.String(), Text: fmt.Sprintf(
		"%s has the VIP %s, and %s answers ARP for it, because arp_ignore of %s and of all is 0: also if another director is MASTER: sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2, as lvs-realserver does, or remove it: ip addr del %s dev %s",
		at.Interface, at.Prefix, by, by, at.Prefix, at.Interface)}
}

// troubles returns the problems of VIPs that the address loop cannot repair for good.
func troubles(s snapshots) []problem.Finding {
	var found []problem.Finding
	for _, t := range s.vips {
		i, named := s.plan.Instance(t.Instance)
		if !named {
			continue
		}
		name := i.Config.Name
		if t.Failed != nil {
			found = append(found, problem.Finding{Code: problem.VIPsNotAdded, Subject: name, Text: fmt.Sprintf(
				"%s: the VIP %s cannot be added to %s: %v", name, t.VIP.Addr(), t.Interface, t.Failed)})
		}
		if t.Unannounced != nil {
			found = append(found, problem.Finding{Code: problem.VIPsNotAnnounced, Subject: name, Text: fmt.Sprintf(
				"%s: the VIP %s cannot be announced on %s: %v", name, t.VIP.Addr(), t.Interface, t.Unannounced)})
		}
		if t.Misplaced {
			found = append(found, problem.Finding{Code: problem.VIPMisplaced, Subject: name, Text: fmt.Sprintf(
				"%s: the VIPs come before the own address of %s, and moving them did not help: this host may use a VIP as source address", name, t.Interface)})
		}
		if t.Contested {
			found = append(found, problem.Finding{Code: problem.VIPContested, Subject: name, Text: fmt.Sprintf(
				"%s: another process keeps deleting the VIPs from %s; they are restored each time", name, t.Interface)})
		}
	}
	return found
}

// addressMissing returns the problem of a director whose own address is not on this host. An instance in FAULT explains
// it: then its interface has no address at all.
func addressMissing(p plan.Plan) []problem.Finding {
	if !p.AddressMissing {
		return nil
	}
	f := problem.Finding{Code: problem.DirectorAddressMissing, Subject: p.Node.Name, Text: fmt.Sprintf(
		"the cluster file gives %s the address %s, which no interface here has: is this the right node name?", p.Node.Name, p.Node.Address)}
	for _, i := range p.Instances {
		f.Related = append(f.Related, i.Config.Name)
	}
	return []problem.Finding{f}
}
