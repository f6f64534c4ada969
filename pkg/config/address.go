package config

import (
	"net/netip"
	"strconv"
	"strings"
)

// broadcast addresses every host of a network.
var broadcast = netip.MustParseAddr("255.255.255.255")

// maxVirtualAddresses is the limit of the count field in an advert (RFC 9568, section 5.2.5).
const maxVirtualAddresses = 255

// ipv6Pattern matches every IPv6 address without a zone, and other texts of colons and hexadecimal digits.
const ipv6Pattern = `[0-9A-Fa-f]{0,4}(:[0-9A-Fa-f]{0,4}){2,8}(\.[0-9]{1,3}){0,3}`

// noMachine and loopback match addresses that a reader may reject.
const (
	noMachine = `^(0\.0\.0\.0|255\.255\.255\.255|(22[4-9]|23[0-9])\..*|::|::[fF]{4}:[^:]*|[fF][fF][0-9A-Fa-f]{2}:.*)$`
	loopback  = `|^127\.|^::1$`
)

// addressOf is the address of a host; never is a pattern of addresses that are not.
func addressOf(never string, read func(value) netip.Addr) kind[netip.Addr] {
	pattern := `^(` + ipv4Pattern + `|` + ipv6Pattern + `)$`
	return scalar("address", Schema{Type: "string", Pattern: pattern, Not: &Schema{Pattern: never}}, read)
}

// address4Of is the IPv4 address of a host.
func address4Of(never string, read func(value) netip.Addr) kind[netip.Addr] {
	return scalar("IPv4 address", Schema{Type: "string", Pattern: `^` + ipv4Pattern + `$`, Not: &Schema{Pattern: never}}, read)
}

func virtualAddresses() kind[[]netip.Prefix] {
	pattern := `^(` + ipv4Pattern + `(/32)?|` + ipv6Pattern + `(/128)?)$`
	item := scalar("address", Schema{Type: "string", Pattern: pattern, Not: &Schema{Pattern: noMachine + loopback}}, value.virtualAddress)
	k := listOf(item, "list of addresses", value.virtualAddresses)
	none, most := 0, maxVirtualAddresses
	k.schema.MinItems, k.schema.MaxItems, k.schema.UniqueItems = &none, &most, true
	return k
}

// virtualAddresses reads the addresses of an instance that adverts list.
func (v value) virtualAddresses() []netip.Prefix {
	return v.addressList(maxVirtualAddresses, "an advert carries at most", "move the others to excluded_addresses")
}

// addressList reads virtual addresses, most at most. An invalid one is kept as the zero Prefix, so that indices stay the same.
func (v value) addressList(most int, because, hint string) []netip.Prefix {
	items := v.items("addresses")
	if len(items) > most {
		v.fail(hint, "%d addresses: %s %d", len(items), because, most)
		return nil
	}
	var list []netip.Prefix
	for _, item := range items {
		list = append(list, item.virtualAddress())
	}
	return list
}

// address reads the address of a host.
func (v value) address() netip.Addr {
	s := v.text()
	if s == "" {
		return netip.Addr{}
	}
	if host, _, ok := strings.Cut(s, "/"); ok {
		if _, err := netip.ParseAddr(host); err == nil {
			v.fail("write "+host, "%s has a prefix length: want one address", quote(s))
			return netip.Addr{}
		}
	}
	return v.parseAddress(s)
}

// routableAddress reads the address of a host that is not on a certain link.
func (v value) routableAddress() netip.Addr {
	addr := v.address()
	if addr.Is6() && addr.IsLinkLocalUnicast() {
		v.fail("write a global address", "%s is a link-local address, which says nothing without an interface", addr)
		return netip.Addr{}
	}
	return addr
}

// virtualAddress reads an address that moves between directors. The prefix length may be omitted; otherwise it must be
// that of a single address.
func (v value) virtualAddress() netip.Prefix {
	s := v.text()
	if s == "" {
		return netip.Prefix{}
	}
	host, length, given := strings.Cut(s, "/")
	addr := v.parseAddress(host)
	bits := strconv.Itoa(addr.BitLen())
	switch {
	case !addr.IsValid():
		return netip.Prefix{}
	case given && length != bits:
		// The kernel may choose a VIP with a wider prefix as a source address, and removes the subnet route together
		// with it.
		v.fail("write "+host+" or "+host+"/"+bits, "/%s: a virtual address is always a /%s, so that it is never a source address", shorten(length), bits)
		return netip.Prefix{}
	case addr.IsLoopback():
		v.fail("", "%s is a loopback address", addr)
		return netip.Prefix{}
	}
	return netip.PrefixFrom(addr, addr.BitLen())
}

// parseAddress reads an address of either family.
func (v value) parseAddress(s string) netip.Addr {
	addr, err := netip.ParseAddr(s)
	switch {
	case err != nil:
		v.fail(addressHint(s), "%s is not an IP address%s", quote(s), nonASCII(s))
	case addr.Is4In6():
		v.fail("write "+addr.Unmap().String(), "%s is an IPv4 address in a form of IPv6", addr)
	case addr.Zone() != "":
		v.fail("write "+addr.WithZone("").String(), "%s has a zone: the interface is that of the instance", addr)
	case addr.IsUnspecified(), addr == broadcast:
		v.fail("", "%s is not the address of a machine", addr)
	case addr.IsMulticast():
		v.fail("", "%s is a multicast address", addr)
	default:
		return addr
	}
	return netip.Addr{}
}

// addressHint tells a host name and an address with a port from a misspelt address.
func addressHint(s string) string {
	if at, err := netip.ParseAddrPort(s); err == nil {
		return "write " + at.Addr().String() + ", and the port as a separate key, port: " + strconv.Itoa(int(at.Port()))
	}
	if host, port, ok := strings.Cut(s, ":"); ok {
		if _, err := netip.ParseAddr(host); err == nil {
			return "write the port as a separate key, port: " + shorten(port)
		}
	}
	if inner := strings.Trim(s, "[]"); inner != s {
		if _, err := netip.ParseAddr(inner); err == nil {
			return "write " + inner
		}
	}
	if strings.ContainsAny(s, "ghijklmnopqrstuvwxyzGHIJKLMNOPQRSTUVWXYZ") {
		return "host names are not looked up: write the address"
	}
	return ""
}
