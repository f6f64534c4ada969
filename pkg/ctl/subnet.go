package ctl

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// localPrefixes returns the addresses of this machine with the lengths of their networks.
func localPrefixes() []netip.Prefix {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var all []netip.Prefix
	for _, a := range addresses {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			all = append(all, p)
		}
	}
	return all
}

// outsideNetworks returns a warning for each virtual address of a file that is in no network of this machine, if this
// machine is one of the directors: without a route, other machines do not find it.
func outsideNetworks(cfg *config.Config, local []netip.Prefix) []string {
	has := func(a netip.Addr) bool {
		return slices.ContainsFunc(local, func(p netip.Prefix) bool { return p.Addr() == a })
	}
	at := slices.IndexFunc(cfg.Directors, func(d config.Director) bool { return has(d.Address) })
	if at < 0 {
		return nil
	}
	var all []string
	for _, i := range cfg.ForNode(cfg.Directors[at].Name).Instances {
		for _, vip := range i.Outside(local) {
			all = append(all, fmt.Sprintf("the virtual address %s of instance %s is in no network of this machine: other machines need a route to it", vip, i.Name))
		}
	}
	return all
}
