package plan

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// Link is a segment that carries VRRP: an interface, in one address family.
type Link struct {
	vrrp.Segment
	Index        int        // 0 when it is not there
	HardwareAddr string     // likewise ""
	Source       netip.Addr // where adverts come from; invalid when there was none yet
	Fault        string     // what keeps it from serving; "" when nothing does
}

func unseen(on vrrp.Segment) Link {
	return Link{Segment: on, Fault: fmt.Sprintf("the interface %s has not been looked at yet", on.Interface)}
}

// segmentOf is where an instance takes part.
func segmentOf(i config.Instance) vrrp.Segment {
	return vrrp.Segment{Interface: i.Interface, Family: i.Family()}
}

// links are the segments that any of the files names, in order.
func (in Inputs) links(node config.Director, vip func(netip.Addr) bool) []Link {
	var segments []vrrp.Segment
	for _, cfg := range in.files() {
		for _, i := range cfg.Instances {
			segments = append(segments, segmentOf(i))
		}
	}
	slices.SortFunc(segments, vrrp.Segment.Compare)
	segments = slices.Compact(segments)
	all := make([]Link, len(segments))
	for n, on := range segments {
		l := unseen(on)
		if in.Looked {
			l = examine(on, in.Links, source(on, in.Addresses, node, vip))
		}
		if at := slices.IndexFunc(in.Before, func(b Link) bool { return b.Segment == on }); at >= 0 && !l.Source.IsValid() {
			l.Source = in.Before[at].Source
		}
		all[n] = l
	}
	return all
}

// examine says what is wrong with an interface, and where its adverts come from; source is its own address, if it has one.
func examine(on vrrp.Segment, known []kernel.Link, source netip.Addr) Link {
	name := on.Interface
	at := slices.IndexFunc(known, func(k kernel.Link) bool { return k.Name == name })
	l := Link{Segment: on}
	if at >= 0 {
		l.Index, l.HardwareAddr = known[at].Index, known[at].HardwareAddr
	}
	switch {
	case at < 0:
		l.Fault = fmt.Sprintf("the interface %s does not exist", name)
	case !known[at].Up:
		l.Fault = fmt.Sprintf("the interface %s is down (ip link set %s up)", name, name)
	case !known[at].Carrier:
		l.Fault = fmt.Sprintf("the interface %s has no carrier: check its cable and switch port", name)
	case !source.IsValid():
		l.Fault = fmt.Sprintf("the interface %s has no %s address of its own to send adverts from", name, on.Family)
	default:
		l.Source = source
	}
	return l
}

// source says where the adverts of a segment come from. With IPv4 it is the director's own address when the interface has
// it, else the interface's first address that is not a VIP; with IPv6 its link-local one (RFC 9568, section 5.1.2.1).
// Invalid when there is none.
func source(on vrrp.Segment, addresses []kernel.Address, node config.Director, vip func(netip.Addr) bool) (found netip.Addr) {
	for _, a := range addresses {
		ip, own := a.Prefix.Addr(), a.Global
		if on.Family == kernel.IPv6 {
			own = a.Prefix.Addr().IsLinkLocalUnicast()
		}
		switch {
		case a.Interface != on.Interface || kernel.FamilyOf(ip) != on.Family || !a.Usable():
		case ip == node.Address && on.Family == kernel.IPv4:
			return ip
		case !found.IsValid() && own && !vip(ip):
			found = ip
		}
	}
	return found
}

// UnknownInterfaces are the problems of a file that brings in an interface which is not there, for that is a typing error:
// an instance would give up its VIPs for it. One that the plan has already is waited for.
func (p Plan) UnknownInterfaces(cfg *config.Config, node string, known []kernel.Link) config.Problems {
	var problems config.Problems
	for _, i := range cfg.ForNode(node).Instances {
		waited := slices.ContainsFunc(p.Links, func(l Link) bool { return l.Interface == i.Interface })
		if !waited && !slices.ContainsFunc(known, func(k kernel.Link) bool { return k.Name == i.Interface }) {
			problems = append(problems, cfg.Problem(i.InterfaceAt,
				fmt.Sprintf("%s has no interface %s", node, i.Interface), "see ip link; one that is to come must be there before the reload"))
		}
	}
	return problems
}
