package plan

import (
	"net/netip"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// stray returns the addresses of this host that are VIPs of the files but were not added by a director: with another
// prefix length, on another interface, or without a lease, which every VIP of a director has. This host answers ARP for
// them whoever is MASTER. Interfaces that never answer ARP are excepted: lo and tunl0, where a real server has its VIPs,
// and dummy interfaces.
func stray(files []*config.Config, links []kernel.Link, local []kernel.Address) []kernel.IfAddr {
	vips, own := map[netip.Addr]bool{}, map[kernel.IfAddr]bool{}
	for _, cfg := range files {
		for _, at := range records(cfg) {
			vips[at.Prefix.Addr()], own[at] = true, true
		}
	}
	silent := map[string]bool{}
	for _, l := range links {
		silent[l.Name] = l.Loopback || l.Kind == "ipip" || l.Kind == "dummy"
	}
	var all []kernel.IfAddr
	for _, a := range local {
		if vips[a.Prefix.Addr()] && !silent[a.Interface] && !(own[a.IfAddr()] && Leased(a)) {
			all = append(all, a.IfAddr())
		}
	}
	return all
}

// Stray returns the addresses of a host that are VIPs of a file but were not added by a director.
func Stray(cfg *config.Config, node string, links []kernel.Link, local []kernel.Address) []kernel.IfAddr {
	return stray([]*config.Config{cfg.ForNode(node)}, links, local)
}

// Leased reports whether an address has a lease. A director gives one to each of its VIPs; the tools of the
// distributions, and keepalived, do not.
func Leased(a kernel.Address) bool { return a.Valid > 0 }
