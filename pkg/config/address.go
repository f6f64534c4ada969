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

func virtualAddresses() kind[[]netip.Prefix] {
	item := scalar("address", Schema{Type: "string", Pattern: `^` + ipv4Pattern + `(/32)?$`, Not: &Schema{Pattern: noMachine + loopback}}, value.virtualAddress)
	k := listOf(item, "list of addresses", value.virtualAddresses)
	one, most := 1, maxVirtualAddresses
	k.schema.MinItems, k.schema.MaxItems, k.schema.UniqueItems = &one, &most, true
	return k
}

// virtualAddresses reads the addresses of an instance. An invalid one is kept as the zero Prefix, so that indices stay
// the same.
func (v value) virtualAddresses() []netip.Prefix {
	items := v.items("addresses")
	v.notEmpty("at least one address")
	if len(items) > maxVirtualAddresses {
		v.fail("make it two instances", "%d addresses: an advert carries at most %d", len(items), maxVirtualAddresses)
		return nil
	}
	var list []netip.Prefix
	for _, item := range items {
		list = append(list, item.virtualAddress())
	}
	return list
}

// address reads the IPv4 address of a host.
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

// parseAddress is the one function that rejects IPv6. A valid file has IPv4 addresses only, but no later code relies on
// that. What is still missing for IPv6:
//   - what announces a VIP (neigh.ErrNotIPv4);
//   - VIPs on a real server (package realserver, refusal);
//   - in this package: patterns of the schema (ipv4Pattern, noMachine, loopback), a persistence.netmask of up to 128,
//     messages for addresses with a zone, link-local and IPv4-mapped ones, and the rules that the addresses of an
//     instance are of one family and that its protocol_version is 3 for IPv6.
func (v value) parseAddress(s string) netip.Addr {
	addr, err := netip.ParseAddr(s)
	switch {
	case err != nil:
		v.fail(addressHint(s), "%s is not an IPv4 address%s", quote(s), nonASCII(s))
	case addr.Is6():
		v.fail("", "%s: IPv6 is not supported yet", addr)
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
	if host, port, ok := strings.Cut(s, ":"); ok {
		if _, err := netip.ParseAddr(host); err == nil {
			return "write the port as a separate key, port: " + shorten(port)
		}
	}
	if strings.ContainsAny(s, "ghijklmnopqrstuvwxyzGHIJKLMNOPQRSTUVWXYZ") {
		return "host names are not looked up: write the address"
	}
	return ""
}
