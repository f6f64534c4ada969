package firewall

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// iface matches an interface of the packet; wildcard is the last character of a name that stands for any rest.
func iface(of func(Packet) string, name, wildcard string) match {
	start, any := strings.CutSuffix(name, wildcard)
	return func(p Packet) applies {
		switch have := of(p); {
		case any && start == "":
			return yes
		case have == "":
			return maybe
		case any:
			return when(strings.HasPrefix(have, start))
		default:
			return when(have == name)
		}
	}
}

func incoming(p Packet) string { return p.In }
func outgoing(p Packet) string { return p.Out }

// end is one end of a packet, opposite the other one.
type end func(Packet) (this, opposite netip.AddrPort)

func source(p Packet) (this, opposite netip.AddrPort)      { return p.From, p.To }
func destination(p Packet) (this, opposite netip.AddrPort) { return p.To, p.From }

// addressIn matches an address. A client may have any one, but clients that are answered through this host are in no
// network of the real server: those would be answered directly.
func addressIn(of end, prefixes ...netip.Prefix) match {
	return func(p Packet) applies {
		this, opposite := of(p)
		if this.Addr().IsValid() {
			return when(slices.ContainsFunc(prefixes, func(x netip.Prefix) bool { return x.Contains(this.Addr()) }))
		}
		result := no
		for _, x := range prefixes {
			switch {
			case x.Addr().Is6() != p.is6():
			case x.Bits() == 0:
				return yes
			case p.Way != Forwarded || !x.Contains(opposite.Addr()):
				result = forSome
			}
		}
		return result
	}
}

// is6 reports whether it is a packet of IPv6. At least one end has an address.
func (p Packet) is6() bool { return p.From.Addr().Is6() || p.To.Addr().Is6() }

// portIn matches a port.
func portIn(of end, ranges ...ports) match {
	return func(p Packet) applies {
		this, _ := of(p)
		if this.Port() != 0 {
			return when(slices.ContainsFunc(ranges, func(r ports) bool { return r.first <= this.Port() && this.Port() <= r.last }))
		}
		result := no
		for _, r := range ranges {
			switch {
			case r.first <= lowestEphemeral && r.last >= highestEphemeral:
				return yes
			case r.last >= lowestEphemeral:
				result = forSome
			}
		}
		return result
	}
}

// local reports whether an end is this host.
func (p Packet) local(of string) bool {
	return p.Way == Incoming && of == "daddr" || p.Way == Outgoing && of == "saddr"
}

// addressType matches the type of the source ("saddr") or destination ("daddr").
func addressType(of string, types []string) match {
	return func(p Packet) applies {
		kind := "unicast"
		switch {
		case of == "daddr" && p.To.Addr().IsMulticast():
			kind = "multicast"
		case p.local(of):
			kind = "local"
		}
		return when(slices.ContainsFunc(types, func(t string) bool { return strings.EqualFold(t, kind) }))
	}
}

// The default of net.ipv4.ip_local_port_range. Those of other systems are inside it or above.
const lowestEphemeral, highestEphemeral = 32768, 60999

// ports is a range.
type ports struct{ first, last uint16 }

// portsOf parses "80", "80:90", "80-90" or ":90".
func portsOf(text string) (ports, bool) {
	low, high, ranged := strings.Cut(strings.Replace(text, "-", ":", 1), ":")
	if !ranged {
		high = low
	}
	if low == "" {
		low = "0"
	}
	if high == "" {
		high = "65535"
	}
	first, errFirst := strconv.ParseUint(low, 10, 16)
	last, errLast := strconv.ParseUint(high, 10, 16)
	return ports{uint16(first), uint16(last)}, errFirst == nil && errLast == nil
}

func protocol(names ...string) match {
	return func(p Packet) applies {
		return when(slices.ContainsFunc(names, func(name string) bool {
			return name == p.Protocol || name == "all" || name != "" && slices.Contains(protocolNames[p.Protocol], name)
		}))
	}
}

// protocolNames are other names and the numbers of protocols.
var protocolNames = map[string][]string{"tcp": {"6"}, "udp": {"17"}, "sctp": {"132"}, "ipip": {"4", "ipencap", "ipv4"}, "ipv6": {"41"}, "gre": {"47"}, "vrrp": {"112"}}

// state matches the state in connection tracking.
func state(names ...string) match {
	return func(p Packet) applies {
		return when(slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, p.state) }))
	}
}

// prefixOf parses an address or a prefix; ok is false for a host name.
func prefixOf(text string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.Masked(), true
	}
	// iptables prints a mask that is no prefix length as 10.0.0.1/255.0.255.0.
	return netip.Prefix{}, false
}
