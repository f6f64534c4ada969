package hostrules

import (
	"net/netip"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// Hook is the chain that a rule is for.
type Hook string

// The hooks of received and of forwarded packets.
const (
	Input   Hook = "input"
	Forward Hook = "forward"
)

// Rule accepts or drops packets. The zero value of a condition matches every packet; at least Protocol or Link is set.
type Rule struct {
	Why      string         `json:"why"`
	Hook     Hook           `json:"hook"`
	Family   kernel.Family  `json:"family"`              // 4 or 6
	Link     string         `json:"interface,omitempty"` // by which it comes in
	From     []netip.Prefix `json:"from,omitempty"`
	To       []netip.Addr   `json:"to,omitempty"`
	Protocol uint8          `json:"protocol,omitempty"`
	// FromPorts and ToPorts are of TCP, UDP or SCTP.
	FromPorts []uint16 `json:"from_ports,omitempty"`
	ToPorts   []uint16 `json:"to_ports,omitempty"`
	// OnLink: the TTL or hop limit is 255, so no router has forwarded it (RFC 5082).
	OnLink bool `json:"on_link,omitempty"`
	Echo   bool `json:"echo_request,omitempty"` // of ICMP: only echo requests
	Drop   bool `json:"drop,omitempty"`         // else it is accepted
}

// IP protocols.
const (
	icmp   = 1
	igmp   = 2
	ipip   = 4
	tcp    = 6
	udp    = 17
	ipv6   = 41
	gre    = 47
	icmpv6 = 58
	vrrp   = 112
	sctp   = 132
)

const bfdPort = 3784 // RFC 5881, section 4

// protocolOf returns the number of a protocol of a virtual server.
func protocolOf(name string) uint8 {
	switch name {
	case "udp":
		return udp
	case "sctp":
		return sctp
	default:
		return tcp
	}
}

// prefixes returns the addresses of one family as prefixes.
func prefixes(family kernel.Family, addresses []netip.Addr) []netip.Prefix {
	var all []netip.Prefix
	for _, a := range addresses {
		if a.IsValid() && kernel.FamilyOf(a) == family {
			all = append(all, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	return all
}

// only returns the prefixes of one family.
func only(family kernel.Family, all []netip.Prefix) []netip.Prefix {
	var own []netip.Prefix
	for _, p := range all {
		if kernel.FamilyOf(p.Addr()) == family {
			own = append(own, p)
		}
	}
	return own
}
