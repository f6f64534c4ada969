package config

import (
	"fmt"
	"maps"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// VirtualLink says on which interface of its own an instance has its virtual addresses. The zero value is none: they are
// on the interface of the instance.
type VirtualLink struct {
	MAC    bool   `json:",omitzero"` // a macvlan with the virtual router's MAC address
	IPvlan bool   `json:",omitzero"` // an ipvlan, with the MAC address of the instance's interface
	Name   string `json:",omitzero"` // "": see Holder
	// FromBase: adverts have the MAC address of the instance's interface, although there is a virtual one.
	FromBase bool `json:",omitzero"`
}

// used reports whether there is such an interface.
func (l VirtualLink) used() bool { return l.MAC || l.IPvlan }

// Holder returns the interface that has the virtual addresses of the instance which address_options puts on no other.
func (i Instance) Holder() string {
	switch {
	case !i.Virtual.used():
		return i.Interface
	case i.Virtual.Name != "":
		return i.Virtual.Name
	case i.Family() == kernel.IPv6:
		return fmt.Sprintf("vrrp6.%d", i.VRID)
	default:
		return fmt.Sprintf("vrrp.%d", i.VRID)
	}
}

// VirtualLink returns the interface that a director adds for the instance; false for none.
func (i Instance) VirtualLink() (link kernel.VirtualLink, used bool) {
	if !i.Virtual.used() {
		return link, false
	}
	link = kernel.VirtualLink{Name: i.Holder(), Kind: kernel.IPvlan, Parent: i.Interface}
	if i.Virtual.MAC {
		link.Kind, link.HardwareAddr = kernel.Macvlan, VirtualMAC(i.Family(), i.VRID).String()
	}
	for _, p := range i.Held() {
		link.IPv6 = link.IPv6 || p.Addr().Is6() && i.On(p.Addr()) == link.Name
	}
	return link, true
}

// VirtualMAC returns the MAC address of a virtual router (RFC 9568, section 7.3).
func VirtualMAC(family kernel.Family, vrid uint8) kernel.MAC {
	if family == kernel.IPv6 {
		return kernel.MAC{0, 0, 0x5e, 0, 2, vrid}
	}
	return kernel.MAC{0, 0, 0x5e, 0, 1, vrid}
}

func virtualLinkFields() []key[instance] {
	return []key[instance]{
		&field[instance, bool]{
			name: "virtual_mac", kind: flag(false), in: func(i *instance) *bool { return &i.Virtual.MAC },
			doc: "whether the virtual addresses have the virtual router's MAC address, `00:00:5e:00:01:ID` or with IPv6 `00:00:5e:00:02:ID`, " +
				"so that it stays the same at a takeover; they are on a macvlan on `interface` ([operations.md](operations.md#virtual-mac-address))",
			perNode: perNode, reload: Live,
			words: []word{keepalived("use_vmac").write("`virtual_mac: true`")},
		},
		&field[instance, bool]{
			name: "ipvlan", kind: flag(false), in: func(i *instance) *bool { return &i.Virtual.IPvlan },
			doc:     "whether the virtual addresses are on an ipvlan on `interface`, which has the same MAC address; not together with `virtual_mac`",
			perNode: perNode, reload: Live,
			words: []word{keepalived("use_ipvlan").write("`ipvlan: true`")},
		},
		&field[instance, string]{
			name: "virtual_interface", in: func(i *instance) *string { return &i.Virtual.Name },
			kind:  texts("text", Schema{Pattern: `^[!-.0-9;-?A-~]{1,15}$`}, value.device),
			unset: "`vrrp.ID`, with IPv6 `vrrp6.ID`", doc: "the name of the macvlan or ipvlan, which the director adds and removes; no other interface may have it",
			perNode: perNode, reload: Live,
		},
		&field[instance, bool]{
			name: "transmit_from_base", kind: flag(false), in: func(i *instance) *bool { return &i.Virtual.FromBase },
			doc: "whether adverts have the MAC address of `interface` although there is a `virtual_mac`, as they always have with `unicast_peers`: " +
				"for a switch or a hypervisor that moves the address only because of ARP",
			perNode: perNode, reload: Live,
			words: []word{keepalived("vmac_xmit_base")},
		},
	}
}

// checkVirtualLink rejects keys that do not go together.
func (i *instance) checkVirtualLink(o object) {
	l := &i.Virtual
	if !l.used() {
		for _, name := range []string{"virtual_interface", "transmit_from_base"} {
			if !o.missing(name) && (l.Name != "" || l.FromBase) {
				o.locate(name).fail("add virtual_mac: true", "%s says nothing without virtual_mac", name)
			}
		}
		return
	}
	switch {
	case l.MAC && l.IPvlan:
		o.locate("ipvlan").fail("leave one of them out", "virtual_mac and ipvlan: an interface is one or the other")
	case l.IPvlan && l.FromBase:
		o.locate("transmit_from_base").fail("leave it out", "an ipvlan has the MAC address of %s anyway", i.Interface)
	case l.Name != "" && l.Name == i.Interface:
		o.locate("virtual_interface").fail("write another name", "%s is the interface of the instance", quote(l.Name))
	}
}

// checkVirtualLinks requires that each interface that a director adds has a name of its own, and that one interface does
// not have both a macvlan and an ipvlan, which the kernel refuses.
func (c *contents) checkVirtualLinks() {
	type on struct{ director, name string }
	added, kinds, named := map[on]string{}, map[on]string{}, map[on]bool{}
	for _, in := range c.instances {
		all := in.v.byDirector()
		for director, i := range all {
			named[on{director, i.Interface}] = true
			for _, device := range i.Devices() {
				named[on{director, device}] = true
			}
		}
	}
	for _, in := range c.instances {
		all := in.v.byDirector()
		for _, director := range slices.Sorted(maps.Keys(all)) {
			i := all[director]
			link, used := i.VirtualLink()
			at, key := on{director, link.Name}, in.at.locate("virtual_mac")
			if link.Kind == kernel.IPvlan {
				key = in.at.locate("ipvlan")
			}
			parent := on{director, i.Interface}
			other, twice := added[at]
			kind, known := kinds[parent]
			switch {
			case !used || i.VRID == 0:
				continue
			case i.Virtual.MAC && i.Virtual.IPvlan && !(in.v.Virtual.MAC && in.v.Virtual.IPvlan): // by per_node; otherwise it is reported
				key.fail("leave one of them out", "virtual_mac and ipvlan on %s: an interface is one or the other", director)
			case twice:
				key.fail("give one of them a virtual_interface", "the interface %s is that of instance %s already", link.Name, quote(other))
			case named[at]:
				key.fail("write another virtual_interface", "the interface %s is added by the director: an instance cannot name it", link.Name)
			case known && kind != link.Kind:
				key.fail("use one of them", "%s cannot have a macvlan and an ipvlan at the same time", i.Interface)
			default:
				added[at], kinds[parent] = i.Name, link.Kind
				continue
			}
			break
		}
	}
}
