package config

import (
	"net/netip"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// Family is the address family of the instance's adverts, which can carry one family only: that of its virtual
// addresses. It is IPv4 if none of them is known.
func (i Instance) Family() kernel.Family {
	for _, p := range i.VirtualAddresses {
		if p.IsValid() {
			return kernel.FamilyOf(p.Addr())
		}
	}
	return kernel.IPv4
}

const familyNotes = `The virtual addresses of an instance are of one **address family**, because an advert carries one family only. Addresses of
both families are two instances, which may have the same ` + "`virtual_router_id`" + `, or those of one family are among the
` + "`excluded_addresses`" + `. Adverts of IPv6 have a link-local source, which is
not in the file unless the director's ` + "`address`" + ` is that one: see [IPv6](operations.md#ipv6).`

// Advertised returns the virtual addresses in the order of the adverts: the first one of IPv6 must be a link-local
// address if there is any (RFC 9568, section 5.2.9). Otherwise it is the order of the file.
func (i Instance) Advertised() []netip.Addr {
	all := make([]netip.Addr, 0, len(i.VirtualAddresses))
	linkLocal := func(a netip.Addr) bool { return a.Is6() && a.IsLinkLocalUnicast() }
	for _, first := range []bool{true, false} {
		for _, p := range i.VirtualAddresses {
			if linkLocal(p.Addr()) == first {
				all = append(all, p.Addr())
			}
		}
	}
	return all
}

// checkFamily requires that an instance is of one address family, and of version 3 if that is IPv6.
func (i *instance) checkFamily(o object) {
	list, given := o.fields["virtual_addresses"]
	if !given || len(list.node.Content) != len(i.VirtualAddresses) {
		return
	}
	family := i.Family()
	for n, item := range list.entries() {
		if p := i.VirtualAddresses[n]; p.IsValid() && kernel.FamilyOf(p.Addr()) != family {
			item.fail("make two instances, which may have the same virtual_router_id, or write it in excluded_addresses",
				"%s is an address of %s, and the first one is of %s: adverts are of one family", p.Addr(), kernel.FamilyOf(p.Addr()), family)
		}
	}
	if family == kernel.IPv6 && i.ProtocolVersion == 2 {
		o.locate("protocol_version").fail("write protocol_version: 3", "version 2 has no IPv6 (RFC 3768)")
	}
}
