package config

import (
	"net/netip"
	"slices"
)

// maxExcludedAddresses limits what one instance adds to the kernel and renews.
const maxExcludedAddresses = 1024

// Held returns all addresses that a MASTER of the instance holds: the virtual ones, then the excluded ones. The list must not be
// modified.
func (i Instance) Held() []netip.Prefix {
	if len(i.ExcludedAddresses) == 0 { // as nearly always: hundreds of instances are asked every few seconds
		return slices.Clip(i.VirtualAddresses)
	}
	return slices.Concat(i.VirtualAddresses, i.ExcludedAddresses)
}

func excludedField() key[instance] {
	return &field[instance, []netip.Prefix]{
		name: "excluded_addresses", kind: excludedAddresses(), in: func(i *instance) *[]netip.Prefix { return &i.ExcludedAddresses },
		unset: "none",
		doc: "further virtual addresses that are not in the adverts, up to 1024 of both families: for more than an advert holds, and for a few of " +
			"IPv6 beside IPv4. In everything else they are like `virtual_addresses`; see [operations.md](operations.md#addresses-that-are-not-advertised)",
		perNode: mustAgree, reload: Live,
		words: []word{keepalived("virtual_ipaddress_excluded")},
	}
}

func excludedAddresses() kind[[]netip.Prefix] {
	k := virtualAddresses()
	none, most := 0, maxExcludedAddresses
	k.read, k.schema.MinItems, k.schema.MaxItems = value.excludedAddresses, &none, &most
	return k
}

// excludedAddresses reads a list like virtualAddresses, which may be empty.
func (v value) excludedAddresses() []netip.Prefix {
	return v.addressList(maxExcludedAddresses, "an instance has at most", "make it two instances")
}

// heldList is one of the lists of addresses of an instance, with its values.
type heldList struct {
	at     []value
	values []netip.Prefix
}

// heldLists returns the lists whose items were all read, with an invalid one as the zero Prefix.
func heldLists(in placed[instance]) []heldList {
	var all []heldList
	for _, l := range []struct {
		key    string
		values []netip.Prefix
	}{{"virtual_addresses", in.v.VirtualAddresses}, {"excluded_addresses", in.v.ExcludedAddresses}} {
		if list, ok := in.at.fields[l.key]; ok && len(list.node.Content) == len(l.values) {
			all = append(all, heldList{list.entries(), l.values})
		}
	}
	return all
}
