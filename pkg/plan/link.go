package plan

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// Link is an interface that carries VRRP.
type Link struct {
	Name         string
	Index        int        // 0 when it is not there
	HardwareAddr string     // likewise ""
	Source       netip.Addr // where adverts come from; invalid when there was none yet
	Fault        string     // what keeps it from serving; "" when nothing does
}

func unseen(name string) Link {
	return Link{Name: name, Fault: fmt.Sprintf("the interface %s has not been looked at yet", name)}
}

// links are the interfaces that any of the files names, by name.
func (in Inputs) links(node config.Director, vip func(netip.Addr) bool) []Link {
	var names []string
	for _, cfg := range in.files() {
		for _, i := range cfg.Instances {
			names = append(names, i.Interface)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	all := make([]Link, len(names))
	for n, name := range names {
		l := unseen(name)
		if in.Looked {
			l = examine(name, in.Links, source(name, in.Addresses, node, vip))
		}
		if at := slices.IndexFunc(in.Before, func(b Link) bool { return b.Name == name }); at >= 0 && !l.Source.IsValid() {
			l.Source = in.Before[at].Source
		}
		all[n] = l
	}
	return all
}

// examine says what is wrong with an interface, and where its adverts come from; source is its own address, if it has one.
func examine(name string, known []kernel.Link, source netip.Addr) Link {
	at := slices.IndexFunc(known, func(k kernel.Link) bool { return k.Name == name })
	l := Link{Name: name}
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
		l.Fault = fmt.Sprintf("the interface %s has no IPv4 address of its own to send adverts from", name)
	default:
		l.Source = source
	}
	return l
}

// source says where the adverts of an interface come from: the director's own address when the interface has it, else its
// first IPv4 address that is not a VIP; invalid when there is none.
func source(iface string, addresses []kernel.Address, node config.Director, vip func(netip.Addr) bool) (found netip.Addr) {
	for _, a := range addresses {
		ip := a.Prefix.Addr()
		switch {
		case a.Interface != iface:
		case ip == node.Address:
			return ip
		case !found.IsValid() && ip.Is4() && a.Global && !vip(ip):
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
		_, waited := slices.BinarySearchFunc(p.Links, i.Interface, func(l Link, name string) int { return cmp.Compare(l.Name, name) })
		if !waited && !slices.ContainsFunc(known, func(k kernel.Link) bool { return k.Name == i.Interface }) {
			problems = append(problems, cfg.Problem(i.InterfaceAt,
				fmt.Sprintf("%s has no interface %s", node, i.Interface), "see ip link; one that is to come must be there before the reload"))
		}
	}
	return problems
}
