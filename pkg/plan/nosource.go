package plan

import (
	"fmt"
	"net/netip"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// noSource says why a segment whose interface is up has no source of adverts. With IPv6 the interface may have a
// link-local address that cannot be used yet, or never: the kernel looks for another machine with the same address first
// (RFC 4862, section 5.4).
func noSource(on vrrp.Segment, addresses []kernel.Address, vip func(netip.Addr) bool) string {
	if on.Family != kernel.IPv6 {
		return fmt.Sprintf("the interface %s has no %s address of its own to send adverts from", on.Interface, on.Family)
	}
	tentative := ""
	for _, a := range addresses {
		ip := a.Prefix.Addr()
		switch {
		case a.Interface != on.Interface || !ip.Is6() || !ip.IsLinkLocalUnicast() || vip(ip):
		case a.Duplicate:
			return fmt.Sprintf("another machine has the link-local address %s of the interface %s as well: give one of them another address (ip addr shows dadfailed)",
				ip, on.Interface)
		case a.Tentative:
			tentative = fmt.Sprintf("the link-local address %s of the interface %s cannot be used yet: the kernel is looking for another machine with it, for a second or two",
				ip, on.Interface)
		}
	}
	if tentative != "" {
		return tentative
	}
	return fmt.Sprintf("the interface %s has no link-local IPv6 address of its own to send adverts from (see net.ipv6.conf.%s.disable_ipv6 and addr_gen_mode)",
		on.Interface, on.Interface)
}
