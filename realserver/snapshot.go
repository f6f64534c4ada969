package realserver

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// view is the result of a pass: the status document without its problems, and the problems.
type view struct {
	doc   status.Agent
	found []problem.Finding
}

// publish stores the view of a pass.
func (a *Agent) publish(want State, have Found, found []problem.Finding) {
	doc := status.Agent{
		Head:           status.Head{Node: a.node(), Role: "realserver", Version: a.o.Version},
		VirtualServers: []status.Membership{},
		Addresses:      []status.Kept{},
		Sysctls:        []status.Kept{},
	}
	if a.cfg != nil {
		doc.ConfigDigest = a.cfg.Digest
	}
	for _, w := range want.Addresses {
		doc.Addresses = append(doc.Addresses, a.keptAddress(w, have))
	}
	for _, key := range slices.Sorted(maps.Keys(want.Sysctls)) {
		doc.Sysctls = append(doc.Sysctls, a.keptSysctl(key, want.Sysctls[key], have))
	}
	for _, m := range want.Memberships {
		doc.VirtualServers = append(doc.VirtualServers, a.membership(m, want, have))
	}
	a.view.Store(&view{doc, found})
}

func (a *Agent) keptAddress(w kernel.IfAddr, have Found) status.Kept {
	k := status.Kept{Name: w.String(), Want: "present", Have: "present", Repairs: a.repairs(w.String())}
	if !have.hasPermanent(w) {
		k.Have = "absent"
	}
	k.Problem = have.lacks(w)
	return k
}

func (a *Agent) keptSysctl(key, value string, have Found) status.Kept {
	k := status.Kept{Name: key, Want: value, Repairs: a.repairs(key)}
	found, exists := have.Sysctls[key]
	k.Have = found
	switch {
	case !exists:
		k.Have = "absent" // an interface without IPv4: no problem
	case found != value:
		k.Problem = fmt.Sprintf("%s is %s, not %s", key, found, value)
	}
	return k
}

// lacks returns why an address is not usable, or "".
func (f Found) lacks(a kernel.IfAddr) string {
	switch {
	case !f.hasLink(a.Interface):
		return missingDevice(a.Interface)
	case !f.hasPermanent(a):
		return fmt.Sprintf("%s is not on %s", a.Prefix.Addr(), a.Interface)
	case !f.isUp(a.Interface):
		return a.Interface + " is down"
	default:
		return ""
	}
}

// membership returns whether this node can serve a virtual server.
func (a *Agent) membership(m Membership, want State, have Found) status.Membership {
	s := status.Membership{
		Name: m.Name, Address: m.VIP.Addr().String(), Port: int(m.VIP.Port()), Forward: string(m.Forward), State: "up",
	}
	vip, needsVIP := m.vipAddress()
	reason := m.refusal()
	switch {
	case reason != "":
	case needsVIP:
		if reason = unfit(vip, want, have); reason == "" && a.listening.diverted[m.VIP.Addr()] {
			reason = fmt.Sprintf("packets to %s are not delivered here: a policy rule diverts them, or its route in the table local is gone: see ip rule, ip route get %s", m.VIP.Addr(), m.VIP.Addr())
		}
		if reason == "" {
			reason = cmp.Or(a.closedTunnel(m), a.cannotAnswer(m, have))
		}
		s.Reason = fmt.Sprintf("up: %s is on %s and stays out of %s", m.VIP.Addr(), vip.Interface, discovery(m.VIP.Addr()))
	default:
		reason = a.wayBack(m)
		s.Reason = fmt.Sprintf("up: answers leave through %s, which a director holds", a.gateways[m.Address])
	}
	if rivals := want.rivals(have, m.VIP.Addr()); reason == "" && len(rivals) > 0 {
		reason = fmt.Sprintf("%s has the VIP %s and answers %s for it", rivals[0].Interface, rivals[0].Prefix, questions(m.VIP.Addr()))
	}
	if silent, unclear := a.silent(m); reason == "" && !unclear {
		reason = silent
	}
	if why := a.blocked(m); reason == "" && why != "" {
		reason = why
	}
	if reason != "" {
		s.State, s.Reason = "down", "down: "+reason
	}
	return s
}

// discovery is how machines of the network find the one that has an address.
func discovery(a netip.Addr) string {
	if kernel.FamilyOf(a) == kernel.IPv6 {
		return "neighbour discovery"
	}
	return "ARP"
}

// questions are the packets that ask for an address.
func questions(a netip.Addr) string {
	if kernel.FamilyOf(a) == kernel.IPv6 {
		return "neighbour solicitations"
	}
	return "ARP"
}

// unfit returns why clients of a VIP would not be served here, or "".
func unfit(vip kernel.IfAddr, want State, have Found) string {
	if reason := have.lacks(vip); reason != "" {
		return reason
	}
	if !inARP(vip) {
		return ""
	}
	key := confKey(vip.Interface, "rp_filter")
	if value := have.Sysctls[key]; vip.Interface != loopback && value != looseRPFilter {
		return fmt.Sprintf("%s is %s, not %s: packets of clients are dropped", key, value, looseRPFilter)
	}
	return Exposed(want.NICs, have.Sysctls)
}
