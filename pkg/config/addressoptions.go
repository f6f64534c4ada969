package config

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// addressOption is what a virtual address has other than the defaults.
type addressOption struct {
	address netip.Addr
	kernel.Placement
}

func addressOptionSection() *sectionOf[addressOption] {
	s := &sectionOf[addressOption]{
		section: section{
			name: "address_options", part: true, what: "an address with interface, label, scope or broadcast",
			intro: "How single virtual addresses of the instance are added, as keepalived's `dev`, `label`, `scope` and `brd`. See\n" +
				"[operations.md](operations.md#vips-on-another-interface).",
			words: []word{
				needless("is keepalived's word: a virtual address is always a single address, so that it is never a source address; see routes", "prefix", "noprefixroute", "peer"),
				needless("is keepalived's word: such an address is not supported", "home", "nodad", "mngtmpaddr", "autojoin", "no_track", "preferred_lft"),
			},
		},
	}
	s.fields = []key[addressOption]{
		&field[addressOption, netip.Addr]{
			name: "address", in: func(o *addressOption) *netip.Addr { return &o.address }, kind: addressOf(noMachine+loopback, value.address),
			required: "one of the virtual_addresses or excluded_addresses", doc: "one of the `virtual_addresses` or `excluded_addresses`", reload: Live,
		},
		&field[addressOption, string]{
			name: "interface", in: func(o *addressOption) *string { return &o.Interface }, kind: texts("text", Schema{}, value.device),
			unset: "that of the instance", doc: "the interface that has the address. While it is missing, down or without carrier, the instance is in FAULT",
			reload: Live, words: []word{synonyms("dev", "device")},
		},
		&field[addressOption, string]{
			name: "label", in: func(o *addressOption) *string { return &o.Label }, kind: texts("text", Schema{Pattern: `^[!-~]{1,15}$`}, value.addressLabel),
			unset: "the interface", doc: "the name by which `ifconfig` shows an IPv4 address: the interface, a colon and a text, at most 15 bytes", reload: Live,
		},
		&field[addressOption, kernel.Scope]{
			name: "scope", in: func(o *addressOption) *kernel.Scope { return &o.Scope }, kind: addressScope(),
			unset: "`global`", doc: "where an IPv4 address is valid; no `link`, because the kernel would send multicast and ARP requests from it", reload: Live,
		},
		&field[addressOption, netip.Addr]{
			name: "broadcast", in: func(o *addressOption) *netip.Addr { return &o.Broadcast }, kind: address4Of(`^(0\.0\.0\.0|(22[4-9]|23[0-9])\..*)`, value.broadcastAddress),
			unset: "none", doc: "a broadcast address that this machine receives as long as it has the IPv4 address", reload: Live, words: []word{synonyms("brd")},
		},
	}
	return s.build()
}

func addressScope() kind[kernel.Scope] {
	return scalar("`global` or `host`", Schema{Type: "string", Enum: []any{"global", "host"}}, func(v value) kernel.Scope {
		s := v.scope()
		if s == kernel.ScopeLink { // it comes before the machine's own address, which has a wider scope (__inet_insert_ifa, net/ipv4/devinet.c)
			v.fail("write global or host", "link: the kernel would send multicast and ARP requests from the virtual address")
			return kernel.ScopeGlobal
		}
		return s
	})
}

// device reads the name of an interface that has neighbours.
func (v value) device() string {
	if v.node.Value == "lo" {
		v.fail("", "lo reaches no other machine")
		return ""
	}
	return v.networkInterface()
}

func (v value) addressLabel() string {
	s := v.text()
	if len(s) > 15 || strings.ContainsAny(s, " \t\n") || nonASCII(s) != "" {
		v.fail("", "%s is no label: at most 15 printable characters%s", quote(s), nonASCII(s))
		return ""
	}
	return s
}

func (v value) broadcastAddress() netip.Addr {
	s := v.text()
	addr, err := netip.ParseAddr(s)
	if s != "" && (err != nil || addr.Is6() || addr.IsUnspecified() || addr.IsMulticast()) {
		v.fail("", "%s is no broadcast address of IPv4", quote(s))
		return netip.Addr{}
	}
	return addr
}

// placements are by virtual address.
type placements = map[netip.Addr]kernel.Placement

func addressOptionsField(s *sectionOf[addressOption]) key[instance] {
	return &field[instance, placements]{
		name: "address_options", in: func(i *instance) *placements { return &i.Placements },
		kind: kind[placements]{form: mappingsOf[addressOption](&s.section, 0, nil).form, same: maps.Equal[placements, placements]},
		readAs: func(v value, i *instance) placements {
			i.PlacementsAt = v.position()
			all := placements{}
			for _, o := range s.each(v, "address options", addressOption{}) {
				o.v.check(o.at, i, all)
				all[o.v.address] = o.v.Placement
			}
			return all
		},
		unset: "none", doc: "virtual addresses on another interface, with a label, a scope or a broadcast address", perNode: perNode,
	}
}

// check rejects what the kernel would reject or ignore.
func (p addressOption) check(o object, i *instance, others placements) {
	if !p.address.IsValid() {
		return
	}
	held := func(a netip.Prefix) bool { return a.Addr() == p.address || !a.IsValid() }
	if !slices.ContainsFunc(i.Held(), held) {
		o.locate("address").fail("add it to virtual_addresses", "%s is no virtual address of this instance", p.address)
	}
	if _, twice := others[p.address]; twice {
		o.locate("address").fail("", "%s is there twice", p.address)
	}
	for _, name := range []string{"label", "scope", "broadcast"} {
		if p.address.Is6() && !o.missing(name) {
			o.locate(name).fail("leave it out", "%s: addresses of IPv6 have none", p.address)
		}
	}
	device := p.Interface
	if device == "" {
		device = i.Holder()
	}
	if device != "" && p.Label != "" && p.Label != device && !strings.HasPrefix(p.Label, device+":") {
		o.locate("label").fail("write "+device+":"+p.Label, "%s does not begin with the name of the interface", quote(p.Label))
	}
}

// On returns the interface that has a virtual address of the instance.
func (i Instance) On(a netip.Addr) string {
	if p := i.Placements[a]; p.Interface != "" {
		return p.Interface
	}
	return i.Holder()
}

// Devices returns the interfaces that have virtual addresses of the instance, other than its own, sorted.
func (i Instance) Devices() []string {
	var all []string
	for _, p := range i.Placements {
		if p.Interface != "" && p.Interface != i.Interface {
			all = append(all, p.Interface)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
