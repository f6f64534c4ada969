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

// source matches the address of the real server; destination that of clients, which are not in a network of the real
// server: those would be answered without passing through the director.
func source(prefixes ...netip.Prefix) match {
	return func(p Packet) applies {
		return when(slices.ContainsFunc(prefixes, func(x netip.Prefix) bool { return x.Contains(p.Source) }))
	}
}

func destination(prefixes ...netip.Prefix) match {
	return func(p Packet) applies {
		result := no
		for _, x := range prefixes {
			switch {
			case x.Bits() == 0 && x.Addr().BitLen() == p.Source.BitLen():
				return yes
			case !x.Contains(p.Source):
				result = forSome
			}
		}
		return result
	}
}

// sourcePort matches the real server's port, destinationPort that of clients, which is ephemeral.
func sourcePort(ranges ...ports) match {
	return func(p Packet) applies {
		return when(slices.ContainsFunc(ranges, func(r ports) bool { return r.first <= p.Port && p.Port <= r.last }))
	}
}

func destinationPort(ranges ...ports) match {
	return func(Packet) applies {
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
			return name == p.Protocol || name == "all" || name == protocolNumbers[p.Protocol]
		}))
	}
}

var protocolNumbers = map[string]string{"tcp": "6", "udp": "17", "sctp": "132"}

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
