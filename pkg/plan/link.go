package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// Link is a segment that carries VRRP: an interface, in one address family.
type Link struct {
	vrrp.Segment
	Index        int        // 0 if the interface does not exist
	HardwareAddr string     // "" if the interface does not exist
	MTU          int        // bytes; 0 if the interface does not exist
	Source       netip.Addr // of adverts; invalid if there has been none yet
	Fault        string     // why it cannot serve; "" if it can
	Dummy        bool       // what is sent on it reaches nobody
	Unaddressed  bool       // it has no address for adverts, which an instance may have elsewhere
	NoCarrier    bool       // Fault is that it has no carrier
	Misfit       bool       // Fault is that the machine does not have the interface, or an address on it
}

// sourceFault returns why it has no source of adverts, as far as that matters: without a carrier it may have one.
func (l Link) sourceFault() string {
	if l.NoCarrier && !l.Unaddressed {
		return ""
	}
	return l.Fault
}

func unseen(on vrrp.Segment) Link {
	return Link{Segment: on, Fault: fmt.Sprintf("the state of interface %s is not known yet", on.Interface)}
}

// segmentOf returns the segment of an instance.
func segmentOf(i config.Instance) vrrp.Segment {
	return vrrp.Segment{Interface: i.Interface, Family: i.Family()}
}

// links returns the links of the segments used in any of the files, in order.
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
			l = examine(on, in.Links, source(on, in.Addresses, node, vip), func() string { return noSource(on, in.Addresses, vip) })
		}
		if at := slices.IndexFunc(in.Before, func(b Link) bool { return b.Segment == on }); at >= 0 && !l.Source.IsValid() {
			l.Source = in.Before[at].Source
		}
		all[n] = l
	}
	return all
}

// examine determines the fault of an interface and the source of its adverts; source is its own address, if it has one,
// and noSource says why it has none.
func examine(on vrrp.Segment, known []kernel.Link, source netip.Addr, noSource func() string) Link {
	name := on.Interface
	at := slices.IndexFunc(known, func(k kernel.Link) bool { return k.Name == name })
	l := Link{Segment: on}
	if at >= 0 {
		l.Index, l.HardwareAddr, l.MTU, l.Dummy = known[at].Index, known[at].HardwareAddr, known[at].MTU, known[at].Kind == "dummy"
	}
	switch {
	case at < 0:
		l.Fault, l.Misfit = unknownInterface(name, known), true
	case !known[at].Up:
		l.Fault = fmt.Sprintf("the interface %s is down (ip link set %s up)", name, name)
	case !known[at].Carrier:
		l.Fault = fmt.Sprintf("the interface %s has no carrier: check its cable and switch port", name)
		l.NoCarrier, l.Unaddressed, l.Source = true, !source.IsValid(), source
	case !source.IsValid():
		l.Fault, l.Unaddressed, l.Misfit = noSource(), true, true
	default:
		l.Source = source
	}
	return l
}

// source returns the source address of the adverts of a segment: the director's own address if the interface has it,
// otherwise the interface's first address that is not a VIP. With IPv6 only link-local addresses count (RFC 9568, section
// 5.1.2.1). It is invalid if there is none.
func source(on vrrp.Segment, addresses []kernel.Address, node config.Director, vip func(netip.Addr) bool) (found netip.Addr) {
	for _, a := range addresses {
		ip, own := a.Prefix.Addr(), a.Global
		if on.Family == kernel.IPv6 {
			own = a.Prefix.Addr().IsLinkLocalUnicast()
		}
		switch {
		case a.Interface != on.Interface || kernel.FamilyOf(ip) != on.Family || !a.Usable():
		case ip == node.Address && (own && !vip(ip) || on.Family == kernel.IPv4):
			return ip
		case !found.IsValid() && own && !vip(ip):
			found = ip
		}
	}
	return found
}

// peers returns what the file says about the other routers of an instance that sends its adverts from source; everywhere
// is the instance with the settings of all directors.
func (in Inputs) peers(i, everywhere config.Instance, node config.Director, source netip.Addr) vrrp.Peers {
	p := vrrp.Peers{Complete: source == node.Address || i.Transport.Unicast(), IgnoreRefused: i.IgnoreRefusedAdverts, Transport: in.transportOf(i)}
	for _, d := range in.Config.Directors {
		if d.Name == node.Name {
			continue
		}
		p.Directors = append(p.Directors, d.Address)
		if from := everywhere.SourceOn(d); from != d.Address {
			p.Directors = append(p.Directors, from)
		}
	}
	return p
}

// UnknownInterfaces returns the problems of a file that adds an interface which does not exist. That is most likely a
// typing error, and an instance would give up its VIPs because of it. An interface that is already in the plan may be
// missing: the instance waits for it.
func (p Plan) UnknownInterfaces(cfg *config.Config, node string, known []kernel.Link) config.Problems {
	var waited []config.Instance
	for _, i := range p.Instances {
		waited = append(waited, i.Config)
	}
	return unknownInterfaces(cfg, node, known, waited)
}

// UnknownInterfaces does the same at a start, where before is the file that ran last.
func UnknownInterfaces(before, cfg *config.Config, node string, known []kernel.Link) config.Problems {
	return unknownInterfaces(cfg, node, known, before.ForNode(node).Instances)
}

// unknownInterface says why there is no interface of this name.
func unknownInterface(name string, known []kernel.Link) string {
	if at := slices.IndexFunc(known, func(k kernel.Link) bool { return slices.Contains(strings.Fields(k.Alternative), name) }); at >= 0 {
		return fmt.Sprintf("%s is an alternative name of the interface %s: the cluster file needs that one", name, known[at].Name)
	}
	return fmt.Sprintf("the interface %s does not exist", name)
}

// unknownInterfaces is about the interfaces of all instances, except those for which the instances in waited wait already.
func unknownInterfaces(cfg *config.Config, node string, known []kernel.Link, waited []config.Instance) config.Problems {
	waitedFor := map[string]bool{}
	for _, i := range waited {
		for _, name := range append(i.Devices(), i.Interface) {
			waitedFor[name] = true
		}
	}
	var problems config.Problems
	check := func(name string, at config.Position) {
		if waitedFor[name] || slices.ContainsFunc(known, func(k kernel.Link) bool { return k.Name == name }) {
			return
		}
		message, hint := fmt.Sprintf("%s has no interface %s", node, name), "see ip link; a new interface must exist before the reload"
		if at := slices.IndexFunc(known, func(k kernel.Link) bool { return slices.Contains(strings.Fields(k.Alternative), name) }); at >= 0 {
			message, hint = fmt.Sprintf("on %s, %s is an alternative name of the interface %s", node, name, known[at].Name), "write "+known[at].Name
		}
		problems = append(problems, cfg.Problem(at, message, hint))
	}
	for _, i := range cfg.ForNode(node).Instances {
		check(i.Interface, i.InterfaceAt)
		for _, device := range i.Devices() {
			check(device, i.PlacementsAt)
		}
	}
	return problems
}
