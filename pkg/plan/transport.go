package plan

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// transportOf returns how the adverts of an instance travel; cfg is resolved for this node. A list of unicast peers may
// contain addresses of this host other than the director's: it would receive its own adverts.
func (in Inputs) transportOf(cfg config.Instance) vrrp.Transport {
	t := cfg.Transport
	others := slices.DeleteFunc(slices.Clone(t.Peers.Addresses), in.has)
	transport := vrrp.Transport{Group: t.MulticastGroup, Unicast: t.Unicast(), Peers: others, LeastTTL: t.UnicastMinTTL}
	if cfg.Virtual.MAC && !cfg.Virtual.FromBase && !transport.Unicast {
		transport.From = config.VirtualMAC(cfg.Family(), cfg.VRID)
	}
	return transport
}

// has reports whether this host has an address.
func (in Inputs) has(ip netip.Addr) bool {
	return slices.ContainsFunc(in.Addresses, func(a kernel.Address) bool { return a.Prefix.Addr() == ip })
}

// sourceFor returns the source address of an instance's adverts on a link, and why the instance cannot serve for lack of
// it. A source that the file demands may be on any interface, and so may the director's address if the other directors
// name it, with unicast_peers: true. Otherwise it is that of the link; but unicast over IPv6 to another network needs a
// global address.
func (in Inputs) sourceFor(cfg config.Instance, link Link, node config.Director, vip func(netip.Addr) bool) (source netip.Addr, fault string) {
	if demanded := cfg.Transport.Source(); demanded.IsValid() {
		if in.Looked && !slices.ContainsFunc(in.Addresses, func(a kernel.Address) bool { return a.Prefix.Addr() == demanded && a.Usable() && !vip(demanded) }) {
			key := "multicast_source"
			if cfg.Transport.Unicast() {
				key = "unicast_source"
			}
			fault = fmt.Sprintf("this director does not have the address %s (%s): add it to an interface, or correct the cluster file", demanded, key)
		}
		return demanded, fault
	}
	named := cfg.Transport.Peers.Directors && kernel.FamilyOf(node.Address) == link.Family && !(node.Address.Is6() && node.Address.IsLinkLocalUnicast())
	if named && slices.ContainsFunc(in.Addresses, func(a kernel.Address) bool {
		return a.Prefix.Addr() == node.Address && a.Usable() && !vip(node.Address)
	}) {
		return node.Address, ""
	}
	abroad := slices.ContainsFunc(cfg.Transport.Peers.Addresses, func(a netip.Addr) bool { return a.Is6() && !a.IsLinkLocalUnicast() })
	if !abroad || !in.Looked {
		return link.Source, link.sourceFault()
	}
	for _, a := range in.Addresses {
		ip := a.Prefix.Addr()
		switch {
		case a.Interface != link.Interface || !a.Usable() || !a.Global || !ip.Is6() || vip(ip):
		case ip == node.Address:
			return ip, ""
		case !source.IsValid():
			source = ip
		}
	}
	if !source.IsValid() {
		return link.Source, fmt.Sprintf("the interface %s has no global IPv6 address of its own to send adverts to other networks from", link.Interface)
	}
	return source, ""
}
