package plan

import (
	"net/netip"
	"strconv"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// stray returns the addresses of this host that are VIPs of the files but were not added by a director: with another
// prefix length, on another interface, or without a lease, which every VIP of a director has. This host answers ARP for
// them whoever is MASTER. Interfaces that never answer ARP are excepted: lo and tunnels, where a real server has its VIPs,
// and dummy interfaces.
func stray(files []*config.Config, links []kernel.Link, local []kernel.Address) []kernel.IfAddr {
	vips, own := map[netip.Addr]bool{}, map[kernel.IfAddr]bool{}
	for _, cfg := range files {
		for _, at := range records(cfg) {
			vips[at.Prefix.Addr()], own[at] = true, true
		}
	}
	silent := silentLinks(links)
	var all []kernel.IfAddr
	for _, a := range local {
		if vips[a.Prefix.Addr()] && !silent[a.Interface] && !(own[a.IfAddr()] && Leased(a)) {
			all = append(all, a.IfAddr())
		}
	}
	return all
}

// silentLinks are the interfaces that never answer ARP themselves.
func silentLinks(links []kernel.Link) map[string]bool {
	silent := map[string]bool{}
	for _, l := range links {
		if l.Loopback || l.Tunnel() || l.Kind == "dummy" {
			silent[l.Name] = true
		}
	}
	return silent
}

// Answered are VIPs on interfaces that never answer ARP themselves, for which another interface answers: the kernel
// answers for every address of the host unless arp_ignore forbids it. Those that a director has added there, because the file
// puts them on such an interface, are excepted: they are gone when another director is MASTER. The key is the address, the value
// that interface, one of those of the instances. ignores returns arp_ignore of an interface, or of "all".
func Answered(cfg *config.Config, links []kernel.Link, local []kernel.Address, ignores func(iface string) string) map[kernel.IfAddr]string {
	silent, all := silentLinks(links), map[kernel.IfAddr]string{}
	for _, i := range cfg.Instances {
		for _, vip := range i.Held() {
			own, by := i.On(vip.Addr()), i.On(vip.Addr())
			if silent[own] {
				by = i.Interface
			}
			if vip.Addr().Is6() || !answersForOthers(ignores("all"), ignores(by)) {
				continue
			}
			for _, a := range local {
				placed := a.Interface == own && a.Prefix == vip && Leased(a)
				if a.Prefix.Addr() == vip.Addr() && silent[a.Interface] && !placed {
					all[a.IfAddr()] = by
				}
			}
		}
	}
	return all
}

// answersForOthers reports whether an interface answers ARP for addresses of other ones (arp_ignore in net/ipv4/arp.c,
// which takes the larger value). What cannot be read does not.
func answersForOthers(all, own string) bool {
	a, errAll := strconv.Atoi(all)
	o, errOwn := strconv.Atoi(own)
	value := max(a, o)
	return errAll == nil && errOwn == nil && value != 1 && value != 2 && value < 8
}

// Stray returns the addresses of a host that are VIPs of a file but were not added by a director.
func Stray(cfg *config.Config, node string, links []kernel.Link, local []kernel.Address) []kernel.IfAddr {
	return stray([]*config.Config{cfg.ForNode(node)}, links, local)
}

// Leased reports whether an address has a lease. A director gives one to each of its VIPs; the tools of the
// distributions, and keepalived, do not.
func Leased(a kernel.Address) bool { return a.Valid > 0 }
