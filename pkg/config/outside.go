package config

import (
	"net/netip"
	"slices"
)

// Outside returns the addresses that the instance holds and that are in none of the networks of a machine: those of its
// addresses with their prefix lengths. Addresses with the full length have no network. Other machines need a route to them.
func (i Instance) Outside(networks []netip.Prefix) []netip.Addr {
	var all []netip.Addr
	for _, vip := range i.Held() {
		inside := func(p netip.Prefix) bool { return !p.IsSingleIP() && p.Contains(vip.Addr()) }
		if !slices.ContainsFunc(networks, inside) {
			all = append(all, vip.Addr())
		}
	}
	return all
}
