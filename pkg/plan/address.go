package plan

import (
	"net/netip"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// isVIP returns a function that reports whether an address is a VIP of one of the files. A VIP must never be a source
// address.
func isVIP(files ...*config.Config) func(netip.Addr) bool {
	all := vipsOf(files...)
	return func(a netip.Addr) bool { return all[a] }
}

func vipsOf(files ...*config.Config) map[netip.Addr]bool {
	all := map[netip.Addr]bool{}
	for _, cfg := range files {
		for _, i := range cfg.Instances {
			for _, p := range i.Held() {
				all[p.Addr()] = true
			}
		}
	}
	return all
}

// addrs returns the addresses of prefixes.
func addrs(all []netip.Prefix) []netip.Addr {
	list := make([]netip.Addr, len(all))
	for n, p := range all {
		list[n] = p.Addr()
	}
	return list
}

// records returns the VIPs of a file.
func records(cfg *config.Config) []kernel.IfAddr {
	count := 0
	for _, i := range cfg.Instances {
		count += len(i.VirtualAddresses) + len(i.ExcludedAddresses)
	}
	all := make([]kernel.IfAddr, 0, count)
	for _, i := range cfg.Instances {
		for _, p := range i.Held() {
			all = append(all, kernel.IfAddr{Interface: i.On(p.Addr()), Prefix: p})
		}
	}
	return all
}

// Claims are the kernel objects that belong to a director according to its file, independent of the state of the host.
type Claims struct {
	Records []kernel.IfAddr // VIPs
	Routing Routing
	Table   Table
}

// ClaimsOf returns the claims of a file for a node.
func ClaimsOf(cfg *config.Config, node string) Claims {
	own := cfg.ForNode(node)
	return Claims{Records: records(own), Routing: routingOf(own), Table: TableOf(cfg, node, Verdicts{})}
}

// missing returns the VIPs that are not among the addresses of this host, or are on an interface of the director that is
// down.
func missing(vips []VIPs, links []kernel.Link, local []kernel.Address) []kernel.IfAddr {
	down := map[string]bool{}
	for _, l := range links {
		down[l.Name] = !l.Up
	}
	there := map[kernel.IfAddr]bool{}
	for _, a := range local {
		there[a.IfAddr()] = true
	}
	var all []kernel.IfAddr
	for _, v := range vips {
		for _, p := range v.Addresses {
			if at := (kernel.IfAddr{Interface: v.On(p), Prefix: p}); !there[at] || v.Virtual() && at.Interface == v.Interface && down[at.Interface] {
				all = append(all, at)
			}
		}
	}
	return all
}

// misplaced returns the VIPs that come before this host's own address on their interface, in the kernel's order: the
// first address is the default source (inet_select_addr in net/ipv4/devinet.c). An IPv6 VIP is never chosen as a
// source, because package addr adds it with a preferred lifetime of 0 (RFC 6724, section 5, rule 3). One of IPv4 with the
// scope host always comes first, and is no source of packets that leave this host.
func misplaced(local []kernel.Address, vip func(netip.Addr) bool) []kernel.IfAddr {
	var all []kernel.IfAddr
	for n, a := range local {
		behind := func(b kernel.Address) bool {
			return b.Interface == a.Interface && b.Global && ordered(b) && !vip(b.Prefix.Addr())
		}
		if ordered(a) && a.Global && vip(a.Prefix.Addr()) && !slices.ContainsFunc(local[:n], behind) && slices.ContainsFunc(local[n+1:], behind) {
			all = append(all, a.IfAddr())
		}
	}
	return all
}

// ordered reports whether the order of addresses determines the source address.
func ordered(a kernel.Address) bool { return kernel.FamilyOf(a.Prefix.Addr()) == kernel.IPv4 }
