package plan

import (
	"fmt"
	"net/netip"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// Sources chooses the source addresses of probes. It is never a VIP: only the MASTER would receive the answers. The zero
// value knows no addresses.
type Sources struct {
	node  netip.Addr            // the director's own address in the file
	own   []kernel.Address      // those of this host that are no VIPs
	vips  map[netip.Addr]bool   // all of the files, so that one that this host adds is known at once
	on    map[netip.Addr]string // the interface of each address
	links map[string]kernel.Link
}

func (in Inputs) sources(node config.Director, vips map[netip.Addr]bool) Sources {
	s := Sources{node: node.Address, vips: vips, on: map[netip.Addr]string{}, links: make(map[string]kernel.Link, len(in.Links))}
	for _, a := range in.Addresses {
		ip := a.Prefix.Addr()
		s.on[ip] = a.Interface
		if !vips[ip] && a.Usable() {
			s.own = append(s.own, a)
		}
	}
	for _, l := range in.Links {
		s.links[l.Name] = l
	}
	return s
}

// Route returns the source of probes whose packets the kernel would send from the address chosen, by its route: that
// address, or the director's own address if it is on the same interface and network. It is invalid for a VIP: another
// address of the interface by which the route leaves must be used; see Named.
func (s Sources) Route(chosen netip.Addr) netip.Addr {
	switch {
	case s.vips[chosen]:
		return netip.Addr{}
	case s.beside(chosen):
		return s.node
	default:
		return chosen
	}
}

// Here returns the source of probes of an address that this host has itself: the director's own address, or else another one
// of that family that is no VIP; invalid without one. The packets stay on this host, whatever their interface is.
func (s Sources) Here(family kernel.Family) (found netip.Addr) {
	if kernel.FamilyOf(s.node) == family && s.on[s.node] != "" {
		return s.node
	}
	for _, a := range s.own {
		if ip := a.Prefix.Addr(); a.Global && kernel.FamilyOf(ip) == family {
			return ip
		}
	}
	return netip.Addr{}
}

// beside reports whether the director's own address is on the same interface and network as another address.
func (s Sources) beside(ip netip.Addr) bool {
	var network netip.Prefix
	for _, a := range s.own {
		if a.Prefix.Addr() == ip {
			network = a.Prefix.Masked()
		}
	}
	for _, a := range s.own {
		if a.Prefix.Addr() == s.node && a.Interface == s.on[ip] && a.Prefix.Masked() == network {
			return true
		}
	}
	return false
}

// of returns an own address of an interface: the director's own address in the file, or else the first one with global
// scope; invalid without one.
func (s Sources) of(iface string, family kernel.Family) (found netip.Addr) {
	for _, a := range s.own {
		ip := a.Prefix.Addr()
		switch {
		case a.Interface != iface || kernel.FamilyOf(ip) != family:
		case ip == s.node:
			return ip
		case !found.IsValid() && a.Global:
			found = ip
		}
	}
	return found
}

// Named returns the source that the key `source` of a check names, or one of the interface of that name, for a target
// of a family; or why there is none.
func (s Sources) Named(source string, family kernel.Family) (netip.Addr, error) {
	if source == config.SourceDirector {
		if s.node.Is6() && s.node.IsLinkLocalUnicast() {
			return netip.Addr{}, fmt.Errorf("source: the director's own address %s is a link-local one", s.node)
		}
		if kernel.FamilyOf(s.node) != family {
			return netip.Addr{}, fmt.Errorf("source: the director's own address %s is not %s", s.node, family)
		}
		return s.node, nil
	}
	if found := s.of(source, family); found.IsValid() {
		return found, nil
	}
	if _, exists := s.links[source]; !exists {
		return netip.Addr{}, fmt.Errorf("source: this director has no interface %s", source)
	}
	return netip.Addr{}, fmt.Errorf("source: the interface %s of this director has no %s address of its own", source, family)
}

// Cut returns why nothing that is sent from an address leaves this host, "" if nothing is known: its interface has no
// carrier. Its routes stay, so that a probe would only get no answer.
func (s Sources) Cut(source netip.Addr) string {
	l, known := s.links[s.on[source]]
	switch {
	case !known:
		return ""
	case !l.Up:
		return fmt.Sprintf("the interface %s of this director is down", l.Name)
	case !l.Carrier:
		return fmt.Sprintf("the interface %s of this director has no carrier: check its cable and switch port", l.Name)
	default:
		return ""
	}
}
